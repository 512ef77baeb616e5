"""Each data set in its official format: written as real files, read back, decoded."""

import json
import re
from pathlib import Path

import official_sets
import pytest

from slowfast_ext.config import get_cfg, load_config, options_of
from slowfast_ext.config.schema import schema
from slowfast_ext.data.annotations import DATASETS, read_videos
from slowfast_ext.data.annotations.manifest import write_manifest
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.sampling import (
    SamplingOptions,
    clip_seconds,
)
from slowfast_ext.data.sampling import (
    test_indices as indices_of_clip,
)
from slowfast_ext.errors import DataError

ROOT = Path(__file__).parents[2]
CONFIGS, LISTS = ROOT / "configs" / "data", ROOT / "data_lists"


def config(name, root, *pairs):
    return load_config([CONFIGS / f"{name}.yaml"], ["DATA.PATH_TO_DATA_DIR", str(root), *pairs])


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """Name of a config -> its folder and the labels written there; each set is written once."""
    written = {}

    def get(name):
        if name not in written:
            root = tmp_path_factory.mktemp(name)
            written[name] = root, official_sets.WRITERS[name](root)
        return written[name]

    return get


@pytest.mark.parametrize("name", sorted(official_sets.WRITERS))
def test_official_format_is_read(official, name):
    root, expected = official(name)
    cfg = config(name, root)
    for split in ("train", "val", "test"):
        videos = read_videos(cfg, split)
        assert [r.labels for r in videos] == expected["train" if split == "train" else "val"]
        assert f"{split}: {len(videos)} of {len(videos)} listed files present" in videos.notes
        counts = cfg.MODEL.NUM_CLASSES
        sizes = [len(names) for names in videos.class_names]
        assert sizes == (counts if isinstance(counts, list) else [counts])
        assert all(len(set(names)) == len(names) for names in videos.class_names)


@pytest.mark.parametrize("name", sorted(official_sets.WRITERS))
def test_official_files_decode(official, name, tmp_path):
    root, _ = official(name)
    cfg = config(name, root, "OUTPUT_DIR", str(tmp_path))
    source = VideoSource.from_cfg(cfg)
    lengths = {"imagenet": {1}, "epic": {4, 6}}.get(name, {official_sets.NUM_FRAMES})
    for record in (record for split in ("train", "val") for record in read_videos(cfg, split)):
        length = source.info(record).length
        assert length in lengths
        assert source.frames(record, range(length)).shape == (length, 32, 32, 3)
    source.close()


@pytest.mark.parametrize("name", sorted(official_sets.WRITERS))
def test_manifest_says_all_that_the_official_files_say(official, name, tmp_path):
    root, _ = official(name)
    videos = read_videos(config(name, root), "train")
    write_manifest(videos, videos.records, str(tmp_path))
    datasets = ["TRAIN.DATASET", "manifest", "TEST.DATASET", "manifest"]
    again = read_videos(config(name, tmp_path, *datasets), "train")
    assert again.class_names == videos.class_names
    fields = ("path", "labels", "name", "num_frames", "start", "end", "start_frame", "end_frame")
    facts = [[[getattr(r, field) for field in fields] for r in s] for s in (videos, again)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipe_parts_name_sets_that_exist(path):
    cfg = load_config([path])
    assert cfg.TRAIN.DATASET == cfg.TEST.DATASET
    assert cfg.TRAIN.DATASET in DATASETS
    assert (cfg.TEST.METRIC == "map") == cfg.DATA.MULTI_LABEL


@pytest.mark.parametrize("name", ["ssv1", "ssv2", "diving48", "gym99", "gym288"])
def test_no_mirror_where_direction_is_the_label(name):
    assert not load_config([CONFIGS / f"{name}.yaml"]).DATA.RANDOM_FLIP


@pytest.mark.parametrize(
    "path", sorted(LISTS.glob("**/README.md")), ids=lambda path: path.parent.name
)
def test_readme_names_what_exists(path):
    text = path.read_text()
    for name in re.findall(r"configs/data/(\w+)\.yaml", text):
        assert (CONFIGS / f"{name}.yaml").is_file()
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (path.parent / link).is_file()
    for key in re.findall(r"\b((?:DATA|TEST|TRAIN|MODEL)\.[A-Z_]+)\b", text):
        assert key in schema()
    for name in re.findall(r"(?:TRAIN|TEST)\.DATASET (\w+)", text):
        assert name in DATASETS


def test_epic_pieces(official):
    root, _ = official("epic")
    cfg = config("epic", root)
    frames, (video,) = read_videos(cfg, "train"), read_videos(cfg, "val")
    assert [(r.start_frame, r.end_frame) for r in frames] == [(0, 3), (4, 7)]
    assert frames.records[1].path.endswith("P01/rgb_frames/P01_01")
    assert (video.start, video.end) == (0.0, 0.5)


@pytest.mark.parametrize(("video_id", "fps"), [("P01_01", 60), ("P22_117", 50), ("P37_101", 50)])
def test_epic_clips_last_as_long_from_frames_as_from_a_video(video_id, fps, tmp_path):
    """Recordings of the extension have 50 frames a second, the others 60 (59.94 in their files)."""
    official_sets.epic(tmp_path)
    row = official_sets.epic_row(f"{video_id}_0", 1, 8, 0, 0)
    official_sets.table(tmp_path / "EPIC_100_train.csv", [official_sets.EPIC_HEADER, row])
    folder = tmp_path / video_id.split("_")[0] / "rgb_frames" / video_id
    official_sets.frame_folder(folder, template="frame_{:010d}.jpg")
    cfg = config("epic", tmp_path)
    (record,) = read_videos(cfg, "train")
    rate = VideoSource.from_cfg(cfg).info(record).fps
    assert rate == fps
    options = options_of(cfg, SamplingOptions)
    of_frames, of_video = (clip_seconds(each, options) for each in (rate, fps * 1000 / 1001))
    assert of_frames == of_video == pytest.approx((16 - 1) * 4 / 30)
    indices = indices_of_clip(1000, rate, options, 0, 1)
    assert indices[-1] - indices[0] == int(15 * 4 * fps / 30)


def test_epic_pickles_are_refused(tmp_path):
    (tmp_path / "EPIC_100_train.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError, match=r"pickles are not read.*EPIC_100_\*\.csv"):
        read_videos(config("epic", tmp_path), "train")


def test_frame_table_of_motionformer(official, tmp_path):
    root, _ = official("ssv2")
    for name in ("train", "labels"):
        source = root / f"something-something-v2-{name}.json"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    rows = [
        f'{v} {i} {n} {v}/{v}_{n + 1:06d}.jpg ""'
        for i, v in enumerate(("42326", "78687"))
        for n in range(8)
    ]
    header = "original_vido_id video_id frame_id path labels"
    (tmp_path / "train.csv").write_text("\n".join([header, *rows]))
    for name in ("42326", "78687"):
        official_sets.frame_folder(tmp_path / "frames" / name, 0, name + "_{:06d}.jpg")
    pairs = ["DATA.PATH_PREFIX", f"{tmp_path}/frames", "DATA.IMAGE_TEMPLATE", "{name}_{:06d}.jpg"]
    videos = read_videos(config("ssv2", tmp_path, *pairs), "train")
    assert [(r.name, r.labels, r.num_frames) for r in videos] == [
        ("42326", (0,), 8),
        ("78687", (57,), 8),
    ]
    (tmp_path / "train.csv").write_text(f"{header}\n42326 0 0 x.jpg\n")
    with pytest.raises(DataError, match=r"train.csv:2: .* has 4 fields"):
        read_videos(config("ssv2", tmp_path, *pairs), "train")


def test_frame_table_of_charades(tmp_path):
    rows = [
        f'46GP8 0 {n} 46GP8/{n + 1:05d}.jpg "{labels}"'
        for n, labels in enumerate(("", "92", "92,147"))
    ]
    header = "original_vido_id video_id frame_id path labels"
    (tmp_path / "train.csv").write_text("\n".join([header, *rows]))
    official_sets.frame_folder(tmp_path / "46GP8")
    (record,) = read_videos(config("charades", tmp_path), "train")
    assert (record.labels, record.num_frames) == ((92, 147), 3)


def test_frame_lists_of_uniformer(tmp_path):
    (tmp_path / "somesomev2_rgb_train_split.txt").write_text("74225 8 140\n")
    official_sets.frame_folder(tmp_path / "74225", 0, "img_{:05d}.jpg")
    pairs = [
        "DATA.LABEL_PATH_TEMPLATE",
        "somesomev2_rgb_{}_split.txt",
        "DATA.IMAGE_TEMPLATE",
        "img_{:05d}.jpg",
    ]
    (record,) = read_videos(config("ssv2", tmp_path, *pairs), "train")
    assert (record.labels, record.num_frames) == ((140,), 8)


def test_finegym_list_of_mmaction2(tmp_path):
    (tmp_path / "gym99_train.txt").write_text("A_E_1_A_2 8 98\n")
    official_sets.frame_folder(tmp_path / "A_E_1_A_2", 0, "img_{:05d}.jpg")
    cfg = config("gym99", tmp_path, "DATA.IMAGE_TEMPLATE", "img_{:05d}.jpg")
    (record,) = read_videos(cfg, "train")
    assert (record.labels, record.num_frames) == ((98,), 8)


@pytest.mark.parametrize(
    ("name", "file", "text", "expected"),
    [
        ("ssv2", "something-something-v2-train.json", '[{"id": "1"}]', "entry 1: has no template"),
        ("ssv2", "something-something-v2-train.json", '[{"id": 1,', "train.json:1: not json"),
        ("ssv2", "something-something-v2-train.json", '{"id": 1}', "expected a list"),
        (
            "ssv2",
            "something-something-v2-train.json",
            '[{"id": 1, "template": "x"}]',
            "template 'x'",
        ),
        ("ssv2", "something-something-v2-labels.json", '{"a": "1"}', "not 0 to 0"),
        ("ssv1", "something-something-v1-train.csv", "1;nonsense", "train.csv:1: '1;nonsense'"),
        ("diving48", "Diving48_V2_train.json", '[{"vid_name": "a", "label": -1}]', "entry 1: '-1'"),
        (
            "diving48",
            "Diving48_V2_train.json",
            '[{"vid_name": "a", "label": 48}]',
            "label 48 is out",
        ),
        ("gym99", "gym99_train.txt", "id\n", "gym99_train.txt:1: 'id'"),
        ("gym99", "gym99_categories.txt", "0 round-off\n", "categories.txt:1: '0 round-off'"),
        (
            "epic",
            "EPIC_100_train.csv",
            "a,b\n1,2\n",
            "train.csv:1: the header has no column narration_id",
        ),
        ("charades", "Charades_v1_train.csv", "id,actions\nx,q1 0 1\n", "train.csv:2: 'q1 0 1'"),
        ("ucf101", "ucfTrainTestlist/trainlist01.txt", "x.avi 1\n", "trainlist01.txt:1: 'x.avi 1'"),
        (
            "hmdb51",
            "testTrainMulti_7030_splits/class_00_test_split1.txt",
            "x.avi\n",
            "split1.txt:1: 'x.avi'",
        ),
    ],
)
def test_bad_official_file(tmp_path, name, file, text, expected):
    official_sets.WRITERS[name](tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError) as raised:
        read_videos(config(name, tmp_path), "train")
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        ("ssv2", "something-something-v2-labels.json", "something-something-v2-labels.json"),
        ("ssv1", "something-something-v1-labels.csv", "something-something-v1-labels.csv"),
        ("diving48", "Diving48_V2_train.json", "Diving48_V2_train.json"),
        ("gym99", "gym99_train.txt", "gym99_train.txt"),
        ("epic", "EPIC_100_train.csv", "EPIC_100_train.csv"),
        ("charades", "Charades_v1_train.csv", "train.csv"),
        ("ucf101", "ucfTrainTestlist/classInd.txt", "classInd.txt"),
    ],
)
def test_missing_official_file_is_named(tmp_path, name, file, expected):
    official_sets.WRITERS[name](tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(DataError, match=expected):
        read_videos(config(name, tmp_path), "train")


def test_diving48_version_1_is_not_taken_for_version_2(tmp_path):
    entry = {"vid_name": "a", "label": 1, "start_frame": 0, "end_frame": 9}
    (tmp_path / "Diving48_train.json").write_text(json.dumps([entry]))
    with pytest.raises(DataError, match=r"Diving48_V2_train\.json"):
        read_videos(config("diving48", tmp_path), "train")


def test_charades_needs_multi_label(official):
    root, _ = official("charades")
    with pytest.raises(DataError, match=r"DATA.MULTI_LABEL True"):
        read_videos(config("charades", root, "DATA.MULTI_LABEL", "False"), "train")


def test_flat_imagenet_validation_folder(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG").touch()
    with pytest.raises(DataError, match="no class folders"):
        read_videos(config("imagenet", tmp_path), "val")


def test_unknown_set_names_the_nearest():
    cfg = get_cfg()
    cfg.TRAIN.DATASET = "kinetic"
    with pytest.raises(ValueError, match="did you mean kinetics"):
        read_videos(cfg, "train")
