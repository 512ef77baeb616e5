"""Path lists, frame lists and what is checked of every list."""

import pytest
from official_sets import frame_folder

from slowfast_ext.config import get_cfg
from slowfast_ext.data.annotations import read_listed, read_videos
from slowfast_ext.data.annotations.packed import PackedRecords
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError


@pytest.fixture
def cfg(tmp_path):
    cfg = get_cfg()
    cfg.DATA.PATH_TO_DATA_DIR = str(tmp_path)
    cfg.MODEL.NUM_CLASSES = 3
    return cfg


def write(path, text, *media):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for name in media:
        file = path.parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def error(cfg, split="train", read=read_videos):
    with pytest.raises(DataError) as raised:
        read(cfg, split)
    return str(raised.value)


@pytest.mark.parametrize(
    ("separator", "text"),
    [
        (" ", b"a.mp4 0\nsub dir/b c.mp4 2\n"),
        (",", b"a.mp4,0\nsub dir/b c.mp4,2\n"),
        (",", b'\xef\xbb\xbf"a.mp4",0\r\n\r\n"sub dir/b c.mp4", 2\r\n'),
        ("\t", b"a.mp4\t0\nsub dir/b c.mp4\t2"),
    ],
)
def test_path_list(cfg, tmp_path, separator, text):
    write(tmp_path / "train.csv", text, "a.mp4", "sub dir/b c.mp4")
    cfg.DATA.PATH_LABEL_SEPARATOR = separator
    videos = read_videos(cfg, "train")
    assert [(record.path, record.labels) for record in videos] == [
        (f"{tmp_path}/a.mp4", (0,)),
        (f"{tmp_path}/sub dir/b c.mp4", (2,)),
    ]
    assert videos.records[0].location == f"{tmp_path}/train.csv:1"
    assert videos.notes[0] == "train: 2 of 2 listed files present"
    assert videos.notes[1] == "train: 1 of 3 classes have no video"


def test_path_prefix_and_absolute_paths(cfg, tmp_path):
    media = tmp_path / "media"
    write(tmp_path / "val.csv", f"a.mp4 0\n{tmp_path}/b.mp4 1\n", "media/a.mp4", "b.mp4")
    cfg.DATA.PATH_PREFIX = str(media)
    paths = [record.path for record in read_videos(cfg, "val")]
    assert paths == [f"{media}/a.mp4", f"{tmp_path}/b.mp4"]


def test_test_falls_back_on_the_validation_list(cfg, tmp_path):
    write(tmp_path / "val.csv", "a.mp4 0\n", "a.mp4")
    assert len(read_videos(cfg, "test")) == 1
    write(tmp_path / "test.csv", "a.mp4 0\nb.mp4 1\n", "b.mp4")
    assert len(read_videos(cfg, "test")) == 2


def test_file_under_another_suffix_is_found(cfg, tmp_path):
    write(tmp_path / "train.csv", "a.mp4 0\nb 1\n", "a.mkv", "b.webm")
    assert [r.path for r in read_videos(cfg, "train")] == [
        f"{tmp_path}/a.mkv",
        f"{tmp_path}/b.webm",
    ]


@pytest.mark.parametrize(
    ("separator", "line", "expected"),
    [
        (" ", "a.mp4,1", ["train.csv:2", "a.mp4,1", "DATA.PATH_LABEL_SEPARATOR to ','"]),
        (",", "a.mp4 1", ["train.csv:2", "DATA.PATH_LABEL_SEPARATOR to ' '"]),
        (" ", "a.mp4", ["train.csv:2", "`path label`"]),
        (" ", "a.mp4 one", ["train.csv:2", "a.mp4 one", "labels from 0"]),
        (" ", "a.mp4 -1", ["train.csv:2"]),
        (" ", "100218 42 1", ["train.csv:2", "TRAIN.DATASET", "frames"]),
        (" ", "a.mp4 3", ["train.csv:2", "label 3", "0 to 2", "MODEL.NUM_CLASSES to 4"]),
        (" ", "b.mp4 1", ["train.csv:2", "train.csv:1", "label 1, but 0"]),
    ],
)
def test_bad_line(cfg, tmp_path, separator, line, expected):
    write(tmp_path / "train.csv", f"b.mp4{separator}0\n{line}\n", "a.mp4", "b.mp4")
    cfg.DATA.PATH_LABEL_SEPARATOR = separator
    message = error(cfg)
    assert all(part in message for part in expected), message


def test_labels_from_one_are_recognised(cfg, tmp_path):
    write(tmp_path / "train.csv", "a.mp4 1\nb.mp4 2\nc.mp4 3\n")
    assert "subtract 1" in error(cfg)


@pytest.mark.parametrize(("text", "expected"), [("", "no videos"), (b"\xff\xfe a 0", "UTF-8")])
def test_not_a_list(cfg, tmp_path, text, expected):
    write(tmp_path / "train.csv", text)
    assert expected in error(cfg)


def test_no_list(cfg, tmp_path):
    write(tmp_path / "other.csv", "")
    message = error(cfg)
    assert "train.csv" in message
    assert "other.csv" in message
    cfg.DATA.PATH_TO_DATA_DIR = str(tmp_path / "nowhere")
    assert "not a folder" in error(cfg)


def test_missing_files(cfg, tmp_path):
    write(tmp_path / "train.csv", "".join(f"{i}.mp4 {i % 3}\n" for i in range(10)))
    for index in range(9):
        (tmp_path / f"{index}.mp4").touch()
    message = error(cfg)
    assert "9 of 10 listed files present" in message
    assert f"{tmp_path}/9.mp4 ({tmp_path}/train.csv:10)" in message
    assert "DATA.ALLOW_MISSING to 0.1" in message
    assert len(read_listed(cfg, "train")) == 10
    cfg.DATA.ALLOW_MISSING = 0.1
    videos = read_videos(cfg, "train")
    assert len(videos) == 9
    assert "train: 9 of 10 listed files present" in videos.notes


def test_all_missing_is_an_error_whatever_is_allowed(cfg, tmp_path):
    write(tmp_path / "train.csv", "a.mp4 0\n")
    cfg.DATA.ALLOW_MISSING = 1.0
    assert "DATA.PATH_PREFIX" in error(cfg)


def test_class_names_beside_the_list(cfg, tmp_path):
    write(tmp_path / "train.csv", "a.mp4 0\n", "a.mp4")
    write(tmp_path / "classes.txt", "run\nwalk\nsit\n")
    assert read_videos(cfg, "train").class_names == (("run", "walk", "sit"),)
    write(tmp_path / "names.txt", "run\nwalk\n")
    cfg.MODEL.CLASS_NAMES = str(tmp_path / "names.txt")
    assert "2 class names" in error(cfg)
    write(tmp_path / "names.txt", "run\nrun\nwalk")
    assert "'run' is there twice" in error(cfg)


def test_several_heads_and_many_labels(cfg, tmp_path):
    write(tmp_path / "train.csv", "a.mp4 2 1\n", "a.mp4")
    cfg.MODEL.NUM_CLASSES = [3, 2]
    assert read_videos(cfg, "train").records[0].labels == (2, 1)
    cfg.MODEL.NUM_CLASSES = 3
    cfg.DATA.MULTI_LABEL = True
    write(tmp_path / "train.csv", "my clip.mp4 2 1 0\n", "my clip.mp4")
    assert read_videos(cfg, "train").records[0].labels == (2, 1, 0)


def test_frame_list(cfg, tmp_path):
    cfg.TRAIN.DATASET = "frames"
    frame_folder(tmp_path / "frames" / "100")
    write(tmp_path / "list_train.txt", b"100 8 2\r\n")
    cfg.DATA.PATH_PREFIX = str(tmp_path / "frames")
    cfg.DATA.LABEL_PATH_TEMPLATE = "list_{}.txt"
    (record,) = read_videos(cfg, "train")
    assert (record.path, record.num_frames, record.labels) == (f"{tmp_path}/frames/100", 8, (2,))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("100 2", ["train.txt:1", "folder number_of_frames label", "kinetics"]),
        ("100 4 x", ["train.txt:1", "'x' is not a label"]),
        ("100 0 1", ["train.txt:1", "claims 0 frames"]),
        ("101 4 1", ["0 of 1 listed files present"]),
    ],
)
def test_bad_frame_list(cfg, tmp_path, line, expected):
    cfg.TRAIN.DATASET = "frames"
    frame_folder(tmp_path / "100")
    write(tmp_path / "train.txt", line)
    message = error(cfg)
    assert all(part in message for part in expected), message


def test_frame_counts_of_another_extraction_are_noted(cfg, tmp_path):
    cfg.TRAIN.DATASET = "frames"
    frame_folder(tmp_path / "100")
    write(tmp_path / "train.txt", "100 20 2")
    notes = read_videos(cfg, "train").notes
    assert any("1 of 1 frame folders" in note and "20 listed, 8 there" in note for note in notes)


@pytest.mark.parametrize("template", ["img_{:05d}.jpg", "{name}_{:06d}.jpg"])
def test_image_template(cfg, tmp_path, template):
    cfg.TRAIN.DATASET = "frames"
    frame_folder(tmp_path / "100", 0, template.replace("{name}", "100"))
    write(tmp_path / "train.txt", "100 8 1")
    assert f"asks for '{template}'" in error(cfg)
    cfg.DATA.IMAGE_TEMPLATE = template
    assert read_videos(cfg, "train").records[0].num_frames == 8
    cfg.DATA.IMAGE_TEMPLATE = "{:05d}{:03d}.jpg"
    assert f"asks for '{template}'" in error(cfg)


def test_a_list_without_videos_is_named(cfg, tmp_path):
    write(tmp_path / "train.csv", "")
    assert str(tmp_path) in error(cfg)


def test_official_kinetics_csv(cfg, tmp_path):
    cfg.MODEL.NUM_CLASSES = 2
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    write(
        tmp_path / "train.csv",
        header + '"passing, in game",_abc-1,5,15,train,0\nabseiling,xyz,0,10,train,1\n',
        "passing, in game/_abc-1_000005_000015.mp4",
        "xyz_000000_000010.mkv",
    )
    write(
        tmp_path / "val.csv",
        header + "abseiling,val1,127,137,validate,0\n",
        "val/val1_000127_000137.mp4",
    )
    train, val = (read_videos(cfg, split) for split in ("train", "val"))
    assert train.class_names == val.class_names == (("abseiling", "passing, in game"),)
    assert [(record.name, record.labels) for record in train] == [
        ("_abc-1_000005_000015.mp4", (1,)),
        ("xyz_000000_000010.mp4", (0,)),
    ]
    assert train.records[0].path == f"{tmp_path}/passing, in game/_abc-1_000005_000015.mp4"
    assert val.records[0].path == f"{tmp_path}/val/val1_000127_000137.mp4"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("diving,a,0,10,train", ["train.csv:3", "'diving'"]),
        ("abseiling,a,x,10,train", ["train.csv:3", "'x' is not a time"]),
        ("abseiling,a,0", ["train.csv:3", "3 fields", "5"]),
    ],
)
def test_bad_official_kinetics_csv(cfg, tmp_path, row, expected):
    cfg.MODEL.NUM_CLASSES = 1
    write(tmp_path / "classes.txt", "abseiling\n")
    header = "label,youtube_id,time_start,time_end,split\n"
    write(tmp_path / "train.csv", f"{header}\n{row}\n")
    message = error(cfg)
    assert all(part in message for part in expected), message


def test_packed_records_are_a_sequence():
    records = [VideoRecord(f"{i}.mp4", (i,), f"list:{i}") for i in range(5)]
    packed = PackedRecords(records)
    assert list(packed) == records
    assert packed[-1] == records[-1]
    with pytest.raises(IndexError):
        packed[5]
