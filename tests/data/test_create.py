"""create_dataset: clips and labels for a plain DataLoader, from built-in videos, class folders and lists."""

import official_sets
import pytest
import torch
from fakes import make_cfg
from torch.utils.data import DataLoader

from slowfast_ext import create_dataset
from slowfast_ext.config import options_of
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.loader import EvalLoader, TrainLoader
from slowfast_ext.data.motion import CLASS_NAMES, MotionOptions
from slowfast_ext.data.sampling import centre_view
from slowfast_ext.data.transforms import to_model_input
from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.errors import ConfigError, DataError
from slowfast_ext.tasks import build_task

SMALL = {"num_frames": 4, "sampling_rate": 2, "crop_size": 16}
MOTION = MotionOptions(num_train=24, num_val=12, size=32, num_frames=8)


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    """A folder of rendered clips."""
    return tmp_path_factory.mktemp("motion")


@pytest.fixture
def tree(tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        for index in range(count):
            name = ("rise", "fall")[index % 2]
            official_sets.video(tmp_path / "tree" / split / name / f"{index}.mp4", index)
    return tmp_path / "tree"


def test_the_built_in_set(motion):
    val = create_dataset("motionshapes", motion, options=[MOTION], **SMALL)
    assert (len(val), val.class_names, val.num_classes) == (12, CLASS_NAMES, 12)
    clip, label = val[3]
    assert (clip.dtype, clip.shape, label) == (torch.float32, (3, 4, 16, 16), 3)
    assert val.videos.records[3].labels == (3,)
    assert [label for _, label in val] == [*range(12)]
    clips, labels = next(iter(DataLoader(val, batch_size=5, num_workers=2)))
    assert clips.shape == (5, 3, 4, 16, 16)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(clips[3], clip)


def test_training_clips_are_drawn_for_seed_epoch_and_video(motion):
    def make(seed=0):
        return create_dataset("motionshapes", motion, "train", options=[MOTION], seed=seed, **SMALL)

    one, two, other = make(), make(), make(seed=1)
    assert torch.equal(one[5][0], two[5][0])
    assert torch.equal(one[-1][0], one[23][0])
    assert not torch.equal(one[5][0], other[5][0])
    two.set_epoch(1)
    assert not torch.equal(one[5][0], two[5][0])
    two.set_epoch(0)
    assert torch.equal(one[5][0], two[5][0])
    assert len(one) == 24


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_kept_workers_learn_of_the_epoch(motion, context):
    train = create_dataset("motionshapes", motion, "train", options=[MOTION], **SMALL)
    loader = DataLoader(
        train, 8, num_workers=1, persistent_workers=True, multiprocessing_context=context
    )
    for epoch in (0, 1):
        train.set_epoch(epoch)
        clips, _ = next(iter(loader))
        assert torch.equal(clips[2], train[2][0])


def test_class_folders_with_views_and_crops_that_are_not_square(tree):
    val = create_dataset(
        "class_folders", tree, num_clips=2, num_crops=3, num_frames=4, crop_size=(16, 8)
    )
    assert (val.class_names, val.num_classes) == (("fall", "rise"), 2)
    clip, label = val[0]
    assert (clip.shape, label) == ((6, 3, 4, 16, 8), 0)
    train = create_dataset(
        "class_folders",
        tree,
        "train",
        augment="rand-m7-n2-mstd0.5-inc1",
        crop_size=(16, 8),
        num_frames=4,
    )
    clips, labels = next(iter(DataLoader(train, batch_size=4, num_workers=1)))
    assert clips.shape == (4, 3, 4, 16, 8)
    assert labels.tolist() == [0, 0, 1, 1]


@pytest.fixture
def lists(tmp_path):
    for index in range(3):
        official_sets.video(tmp_path / f"{index}.mp4", index)

    def write(*labels):
        text = "".join(f"{index}.mp4 {label}\n" for index, label in enumerate(labels))
        (tmp_path / "val.csv").write_text(text)
        return tmp_path

    return write


def test_classes_are_inferred_from_labels_or_names(lists):
    folder = lists(0, 4, 1)
    assert create_dataset("kinetics", folder, **SMALL).num_classes == 5
    assert create_dataset("kinetics", folder, num_classes=9, **SMALL).num_classes == 9
    listed = create_dataset("kinetics", folder, class_names=[*"abcdef"], **SMALL)
    assert (listed.class_names, listed.num_classes) == (tuple("abcdef"), 6)
    (folder / "names.txt").write_text("v\nw\nx\ny\nz\n")
    from_file = create_dataset("kinetics", folder, class_names=folder / "names.txt", **SMALL)
    assert from_file.class_names == ("v", "w", "x", "y", "z")


def test_labels_of_two_heads_are_a_tuple(lists):
    actions = create_dataset("kinetics", lists("0 3", "1 2", "1 0"), num_classes=(2, 4), **SMALL)
    assert [label for _, label in actions] == [(0, 3), (1, 2), (1, 0)]
    assert actions.num_classes == (2, 4)


def test_several_labels_are_multi_hot(lists):
    several = create_dataset("kinetics", lists("0 3", "1", "1 2 3"), multi_label=True, **SMALL)
    assert several.num_classes == 4
    assert several[2][1].tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_video_that_cannot_be_read_is_named(tree, split):
    path = tree / split / "fall" / "1.mp4"
    path.write_text("no video")
    videos = create_dataset("class_folders", tree, split, **SMALL)
    index = [record.path for record in videos.videos].index(str(path))
    with pytest.raises(DataError, match=r"fall/1\.mp4"):
        videos[index]


def test_mistakes_are_named(lists, tmp_path):
    with pytest.raises(ConfigError, match="did you mean kinetics"):
        create_dataset("kinetic", tmp_path)
    with pytest.raises(ConfigError, match=r"train \| val \| test"):
        create_dataset("kinetics", tmp_path, "validation")
    with pytest.raises(DataError, match="label 4 is out of range"):
        create_dataset("kinetics", lists(0, 4, 1), num_classes=3)
    with pytest.raises(ConfigError, match="MotionOptions"):
        create_dataset("kinetics", lists(0, 1, 1), options=[MOTION])


def test_a_configuration_gives_the_clips_of_its_loaders(motion):
    cfg = make_cfg(
        TRAIN__DATASET="motionshapes",
        TEST__DATASET="motionshapes",
        MODEL__NUM_CLASSES=12,
        DATA__PATH_TO_DATA_DIR=str(motion),
        MOTION__NUM_TRAIN=24,
        MOTION__NUM_VAL=12,
        MOTION__SIZE=32,
        MOTION__NUM_FRAMES=8,
        DATA__CHANNEL_ORDER="bgr",
        RNG_SEED=3,
    )
    source, task, pixels = VideoSource.from_cfg(cfg), build_task(cfg), options_of(cfg, PixelOptions)
    batch = next(TrainLoader.from_cfg(cfg, read_videos(cfg, "train"), task, source=source).epoch(2))
    train = create_dataset(split="train", cfg=cfg)
    train.set_epoch(2)
    ours = torch.stack([train[int(index)][0] for index in batch.index_B])
    assert torch.equal(ours, to_model_input(batch.clip_BTCHW, pixels))
    val_videos = read_videos(cfg, "val")
    views = next(iter(EvalLoader.from_cfg(cfg, val_videos, centre_view(), task, source=source)))
    val = create_dataset(cfg=cfg)
    assert torch.equal(val[1][0], to_model_input(views.clip_BVTCHW[1], pixels)[0])
    assert create_dataset(split="test", cfg=cfg)[0][0].shape == (30, 3, 4, 16, 16)
