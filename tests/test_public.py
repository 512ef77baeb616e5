"""What a notebook calls: each line as it is typed."""

import subprocess
import sys

import pytest
import torch
from engine.tiny_run import config, train
from torch.utils.data import DataLoader

import slowfast_ext
from slowfast_ext.data.motion import MotionOptions
from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.files import read_weights
from slowfast_ext.tasks import VerbNoun

SMALL = {"VIT.DEPTH": 1, "VIT.EMBED_DIM": 24, "VIT.NUM_HEADS": 2}


def small(name="motionformer_b", classes=5, **arguments):
    return slowfast_ext.create_model(
        name, classes, num_frames=4, img_size=32, settings=SMALL, **arguments
    )


def motion(folder, split="val", **arguments):
    options = (MotionOptions(num_train=24, num_val=12, size=32, num_frames=8),)
    return slowfast_ext.create_dataset(
        "motionshapes", folder, split, num_frames=4, sampling_rate=2, crop_size=32,
        options=options, **arguments,
    )  # fmt: skip


def test_importing_loads_nothing():
    code = "import sys, slowfast_ext; dir(slowfast_ext); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_names_by_pattern():
    assert "motionformer_b" in slowfast_ext.list_models("*former*")
    assert "vit_b" not in slowfast_ext.list_models("*former*")
    with pytest.raises(ConfigError, match="did you mean motionformer_b"):
        slowfast_ext.create_model("motionformerb")


def test_one_head_gives_a_tensor_and_two_a_named_tuple():
    clip = torch.randn(2, 3, 4, 32, 32)
    assert small()(clip).shape == (2, 5)
    both = small(classes=(5, 7))(clip)
    assert isinstance(both, VerbNoun)
    assert (both.verb.shape, both.noun.shape) == ((2, 5), (2, 7))


def test_weights_of_another_head_and_size(tmp_path, caplog):
    path = tmp_path / "weights.pyth"
    source = small(classes=9)
    torch.save({"model_state": source.state_dict()}, path)
    model = small(weights=path)
    assert "head for other classes, starts anew" in caplog.text
    assert torch.equal(
        model.backbone.blocks[0].attn.qkv.weight, source.backbone.blocks[0].attn.qkv.weight
    )
    with pytest.raises(CheckpointError, match="head"):
        small(weights=path, allow=())


def test_clips_and_labels_in_a_plain_loader(tmp_path):
    dataset = motion(tmp_path)
    clips, labels = next(iter(DataLoader(dataset, batch_size=4)))
    assert clips.shape == (4, 3, 4, 32, 32)
    assert clips.dtype == torch.float32
    assert labels.tolist() == [record.labels[0] for record in dataset.videos][:4]


def test_a_checkpoint_is_enough(tmp_path):
    """Its configuration and class names are inside; evaluation is the one of the command line."""
    settings = {
        "OUTPUT_DIR": str(tmp_path / "out"),
        "DATA.PATH_TO_DATA_DIR": str(tmp_path / "data"),
    }
    train(settings)
    path = tmp_path / "out/checkpoints/checkpoint_epoch_00002.pyth"
    model = slowfast_ext.load_model(path)
    assert len(model.class_names[0]) == 12
    assert not model.training
    dataset = slowfast_ext.create_dataset(split="val", cfg=model.config)
    metrics = slowfast_ext.evaluate(model, dataset)
    from slowfast_ext.engine.log import read_stats

    logged = read_stats(tmp_path / "out", "val_epoch")[-1]
    assert metrics["top1_acc"] == pytest.approx(logged["top1_acc"])
    assert slowfast_ext.evaluate(model, dataset, view_batch=1) == metrics
    assert read_weights(path)["cfg"] == config(settings, TEST__ENABLE=False).dump()


def test_random_clips_are_not_evaluated(tmp_path):
    with pytest.raises(ConfigError, match="split='val'"):
        slowfast_ext.evaluate(small(classes=12), motion(tmp_path, "train"))


def test_weights_alone_are_no_checkpoint(tmp_path):
    path = tmp_path / "weights.pyth"
    torch.save({"model_state": small().state_dict()}, path)
    with pytest.raises(CheckpointError, match="create_model"):
        slowfast_ext.load_model(path)
