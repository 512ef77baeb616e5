"""Recognizer: the scores of a test, for a video in any form."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from data.video_makers import empty, sound_only, text
from engine.tiny_run import ROOT

import slowfast_ext
from slowfast_ext.config.schema import import_files
from slowfast_ext.errors import CheckpointError, ConfigError, DataError
from slowfast_ext.models.weights import WEIGHTS
from slowfast_ext.predict.recognizer import Recognizer


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def scores_of(predictions):
    return torch.stack([prediction.scores for prediction in predictions])


def test_scores_are_those_of_the_test_bit_for_bit(run, recognizer):
    assert torch.equal(scores_of(recognizer(run.videos)), run.scores)
    assert torch.equal(scores_of(recognizer.predict(run.videos, workers=2)), run.scores)
    alone = scores_of([recognizer(video) for video in run.videos])
    torch.testing.assert_close(alone, run.scores, rtol=0, atol=1e-6)


def test_a_bad_video_costs_its_own_scores_only(run, recognizer, tmp_path):
    videos = [run.videos[0], text(tmp_path), *run.videos[1:]]
    found = recognizer(videos)
    assert "cannot be opened" in found[1].error
    torch.testing.assert_close(scores_of(found[:1] + found[2:]), run.scores, rtol=0, atol=1e-6)
    with pytest.raises(DataError, match="has no scores"):
        found[1].top()


def test_the_folder_of_a_run_is_enough(run):
    assert torch.equal(scores_of(Recognizer(run.folder)(run.videos)), run.scores)
    assert slowfast_ext.Recognizer is Recognizer
    model = slowfast_ext.load_model(run.checkpoint)
    assert torch.equal(
        Recognizer(model)(run.videos[0]).scores, Recognizer(run.checkpoint)(run.videos[0]).scores
    )


def test_any_form_of_a_video(run, recognizer):
    path = Path(run.videos[3])
    frames = decoded(path)
    wide = np.zeros((*frames.shape[:3], 6), np.uint8)
    wide[..., ::2] = frames
    with path.open("rb") as file:
        forms = [
            str(path), path, path.read_bytes(), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes()), file,
            frames, torch.from_numpy(frames), wide[..., ::2],
        ]  # fmt: skip
        found = recognizer(forms)
    want = recognizer(path).scores
    for prediction in found:
        assert not prediction.error
        assert torch.equal(prediction.scores, want) or torch.allclose(
            prediction.scores, want, atol=1e-6
        )
    names = [prediction.video for prediction in found]
    assert names[:2] == [str(path)] * 2
    assert names[5] == str(path)
    assert names[6] == "<8 frames>"


def test_a_folder_of_images_is_a_video(recognizer, run, tmp_path):
    from PIL import Image

    frames = decoded(run.videos[0])
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame).save(tmp_path / f"img_{number}.png")
    own = Recognizer(run.checkpoint, image_template="img_{}.png")
    torch.testing.assert_close(own(tmp_path).scores, recognizer(frames).scores)


@pytest.mark.parametrize(
    ("video", "words"),
    [
        (np.zeros((4, 3, 8, 8), np.uint8), "permute"),
        (np.zeros((2, 4, 8, 8, 3), np.uint8), "as a list"),
        (np.zeros((8, 8, 3), np.uint8), "stack"),
        (np.zeros((4, 8, 8, 3), np.float32), "not uint8"),
        (io.StringIO("text"), "opened as text"),
        (17, "int is no video"),
        ("nowhere.mp4", "nowhere.mp4: No such file"),
        ([[np.zeros((8, 8, 3), np.uint8)] * 4], "stack the frames"),
        (b"no video", "cannot be opened"),
    ],
)
def test_what_is_no_video_is_named(recognizer, video, words):
    with pytest.raises(DataError, match=words):
        recognizer(video)


@pytest.mark.parametrize(
    ("make", "words"), [(sound_only, "no video stream"), (empty, "cannot be opened")]
)
def test_files_without_pictures(recognizer, tmp_path, make, words):
    with pytest.raises(DataError, match=words):
        recognizer(make(tmp_path))


def test_best_classes_with_names(run, recognizer):
    prediction = recognizer(run.videos[0])
    assert len(prediction.names) == len(prediction.scores) == 12
    best = prediction.top(3)
    assert [guess.label for guess in best] == prediction.scores.topk(3).indices.tolist()
    assert best[0].name == prediction.names[best[0].label] == prediction.label
    assert best[0].score == pytest.approx(float(prediction.scores.max()))
    assert len(prediction.top(100)) == 12
    assert best[0].name in repr(prediction)


def test_verb_and_noun(make_checkpoint, run):
    path = make_checkpoint([["open", "close"], ["door", "cup", "box"]], MODEL__NUM_CLASSES="[2, 3]")
    prediction = Recognizer(path)(run.videos[0])
    assert len(prediction.top(5, "verb")) == 2
    noun = prediction.top(1, "noun")[0].name
    assert prediction.label == f"{prediction.top(1, 'verb')[0].name} {noun}"
    with pytest.raises(ConfigError, match="did you mean noun"):
        prediction.top(1, "nuon")


def test_several_labels(make_checkpoint, run):
    path = make_checkpoint([["a", "b", "c"]], MODEL__NUM_CLASSES=3, DATA__MULTI_LABEL=True)
    prediction = Recognizer(path)(run.videos[0])
    present = [guess.name for guess in prediction.top() if guess.score >= 0.5]
    assert prediction.label == " + ".join(present)


def test_logits_are_told_as_probabilities(make_checkpoint, run):
    path = make_checkpoint(MODEL__NUM_CLASSES=3, TEST__ENSEMBLE="logits")
    prediction = Recognizer(path)(run.videos[0])
    told = torch.tensor(
        [guess.score for guess in sorted(prediction.top(), key=lambda guess: guess.label)]
    )
    torch.testing.assert_close(told, prediction.scores.softmax(0))
    assert prediction.names == ("0", "1", "2")


def test_a_task_of_ones_own(make_checkpoint, run):
    import_files([str(ROOT / "tests/extending/my_task.py")])
    path = make_checkpoint(
        [["a", "b", "c"]], MODEL__NUM_CLASSES=3, TASK="position", TEST__METRIC="mae"
    )
    (guess,) = Recognizer(path)(run.videos[0]).top()
    assert guess.name == "position"


@pytest.mark.parametrize("views", ["1", "2x", "axb", "1x4", "0x1"])
def test_views_that_are_none(recognizer, run, views):
    with pytest.raises(ConfigError):
        recognizer(run.videos[0], views=views)


class TestWeights:
    SMALL = {"VIT.DEPTH": 1, "VIT.EMBED_DIM": 24, "VIT.NUM_HEADS": 2}  # noqa: RUF012

    def public(self, folder, classes=5):
        """A file of tensors alone, as other programs write them."""
        model = slowfast_ext.create_model(
            "joint_b", classes, num_frames=4, img_size=32, settings=self.SMALL
        )
        path = folder / "public.pth"
        torch.save({"model_state": model.state_dict()}, path)
        more = {"DATA.NUM_FRAMES": 4, "DATA.TRAIN_CROP_SIZE": 32, "DATA.TEST_CROP_SIZE": 32}
        return path, self.SMALL | more

    def test_of_other_programs(self, tmp_path, run):
        path, settings = self.public(tmp_path)
        names = tmp_path / "names.txt"
        names.write_text("\n".join("abcde"))
        own = Recognizer(path, model="joint_b", class_names=names, settings=settings, views="1x1")
        assert own(run.videos[0]).names == tuple("abcde")

    def test_published_heads_bring_their_names(self, tmp_path):
        more = {"DATA.NUM_FRAMES": 4, "DATA.TRAIN_CROP_SIZE": 32, "DATA.TEST_CROP_SIZE": 32}
        settings = self.SMALL | more
        model = slowfast_ext.create_model("timesformer_b", 400, settings=settings)
        path = tmp_path / "published.pth"
        torch.save(WEIGHTS.get("timesformer").to_theirs(model.state_dict(), model), path)
        own = Recognizer(path, model="timesformer_b", settings=settings)
        assert own.classes.names[0][:2] == ("abseiling", "air drumming")

    def test_refused(self, tmp_path, run, make_checkpoint):
        path, settings = self.public(tmp_path)
        with pytest.raises(CheckpointError, match="--model"):
            Recognizer(path)
        with pytest.raises(ConfigError, match="3 class names, but the weights have 5"):
            Recognizer(path, model="joint_b", settings=settings, class_names=["a", "b", "c"])
        with pytest.raises(CheckpointError, match=r"public\.pth"):
            Recognizer(path, model="joint_b", settings={**settings, "VIT.EMBED_DIM": 32})
        with pytest.raises(ConfigError, match="did you mean"):
            Recognizer(path, model="jointb")
        with pytest.raises(CheckpointError, match="no such file"):
            Recognizer(tmp_path / "nowhere.pyth")
        with pytest.raises(CheckpointError, match="without checkpoints"):
            Recognizer(tmp_path)
        with pytest.raises(ConfigError, match="2 class names"):
            Recognizer(run.checkpoint, class_names=["a", "b"])
        with pytest.raises(ConfigError, match="device"):
            Recognizer(run.checkpoint, "gpu")
        wrong = make_checkpoint()
        state = torch.load(wrong)
        state["cfg"] = state["cfg"].replace("EMBED_DIM: 32", "EMBED_DIM: 48")
        torch.save(state, wrong)
        with pytest.raises(CheckpointError, match="another architecture"):
            Recognizer(wrong)
