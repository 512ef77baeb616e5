"""Class-folder trees: three ways of naming splits, and lists that carry the same labels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slowfast_ext.config.schema import get_cfg
from slowfast_ext.data.annotations import DATASETS, Lists, read_videos
from slowfast_ext.data.annotations.class_folders import read_tree, tree_classes, write_lists
from slowfast_ext.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def touch(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")


def config(root, classes):
    cfg = get_cfg()
    cfg.DATA.PATH_TO_DATA_DIR = str(root)
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "class_folders"
    cfg.MODEL.NUM_CLASSES = classes
    return cfg


def by_split(root):
    return {
        split: [
            (r.name, r.labels[0]) for r in DATASETS.get("class_folders")(Lists(str(root)), split)
        ]
        for split in ("train", "val", "test")
    }


def test_clips_tsv_names_the_splits(tmp_path):
    touch(tmp_path, "walk/a.mp4", "walk/b.mp4", "fall/c.mp4", "fall/unlisted.mp4")
    (tmp_path / "clips.tsv").write_text(
        "path\tclass\tsplit\tframes\nwalk/a.mp4\twalk\ttrain\t9\nwalk/b.mp4\twalk\tvalidation\t9\n"
        "fall/c.mp4\tfall\ttrain\t9\n"
    )
    splits = by_split(tmp_path)
    assert splits["train"] == [("fall/c.mp4", 0), ("walk/a.mp4", 1)]
    assert splits["val"] == splits["test"] == [("walk/b.mp4", 1)]


def test_split_folders_share_one_order_of_classes(tmp_path):
    touch(
        tmp_path, "train/b/1.mp4", "val/a/2.avi", "val/b/3.webm", "test/b/4.mp4", "val/b/notes.txt"
    )
    splits = by_split(tmp_path)
    assert splits["train"] == [("train/b/1.mp4", 1)]
    assert splits["val"] == [("val/a/2.avi", 0), ("val/b/3.webm", 1)]
    assert splits["test"] == [("test/b/4.mp4", 1)]


def test_plain_tree_gives_a_fifth_of_each_class_to_validation(tmp_path):
    touch(tmp_path, *(f"{c}/{i}.mp4" for c, n in (("a", 20), ("b", 2), ("c", 1)) for i in range(n)))
    clips = read_tree(str(tmp_path))
    validation = [clip.class_name for clip in clips if clip.split == "val"]
    assert validation == ["a"] * 4 + ["b"]
    assert clips == read_tree(str(tmp_path))


def test_reading_through_the_common_door_uses_class_names(tmp_path):
    touch(tmp_path, *(f"{c}/{i}.mp4" for c in ("jump", "sit") for i in range(5)))
    video_set = read_videos(config(tmp_path, 2), "train")
    assert video_set.class_names == (("jump", "sit"),)
    with pytest.raises(DataError, match="set it to 2"):
        read_videos(config(tmp_path, 7), "train")


def test_lists_carry_the_labels_of_the_tree(tmp_path):
    tree, lists = tmp_path / "tree", tmp_path / "lists"
    touch(tree, *(f"{c}/clip {i}.mp4" for c in ("a", "b") for i in range(5)))
    assert write_lists(str(tree), str(lists)) == {"train.csv": 8, "val.csv": 2}
    cfg = config(lists, 2)
    cfg.DATA.PATH_PREFIX = str(tree)
    cfg.TRAIN.DATASET = "kinetics"
    read, direct = read_videos(cfg, "train"), read_videos(config(tree, 2), "train")
    assert [(r.path, r.labels) for r in read] == [(r.path, r.labels) for r in direct]
    assert read.class_names == direct.class_names


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("path,class,split\n", r"clips.tsv:1: no column path, class, split"),
        ("path\tclass\tsplit\na.mp4\tx\tholdout\n", r"clips.tsv:2: the split 'holdout'"),
        ("path\tclass\tsplit\n\na.mp4\tx\n", r"clips.tsv:3: 2 fields"),
        ("path\tclass\tsplit\n", r"no videos"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path, table, complaint):
    (tmp_path / "clips.tsv").write_text(table)
    with pytest.raises(DataError, match=complaint):
        read_tree(str(tmp_path))


def test_make_lists_command(tmp_path):
    touch(tmp_path / "tree", *(f"a/{i}.mp4" for i in range(5)))
    command = [sys.executable, str(ROOT / "tools/make_lists.py")]
    done = subprocess.run(
        [*command, str(tmp_path / "tree"), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "train.csv: 4 videos" in done.stdout
    assert (tmp_path / "out/classes.txt").read_text() == "a\n"
    failed = subprocess.run(
        [*command, str(tmp_path / "none"), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert "is not a folder" in failed.stderr


def test_real_actions(video_dir):
    clips = read_tree(str(video_dir / "real_actions"))
    assert len(clips) == 249
    assert len(tree_classes(clips)) == 7
    assert sum(clip.split == "val" for clip in clips) == 85


HOSTILE = (b"caf\xe9.mp4", b"\x1b[31mred.mp4", b"=1+1.mp4", b" -x.mp4", "ümlaut é.mp4".encode())


def test_names_of_any_bytes(tmp_path):
    """Of videos and classes: from the tree itself and from the lists that are made of it."""
    tree, lists = tmp_path / "tree", tmp_path / "lists"
    for folder in (b"a", b"b\xff\x1b"):
        os.makedirs(os.path.join(os.fsencode(tree), b"train", folder))
        for name in HOSTILE:
            shutil.copy(__file__, os.path.join(os.fsencode(tree), b"train", folder, name))
    read_class_folders = DATASETS.get("class_folders")
    tree_set = read_class_folders(Lists(str(tree)), "train")
    assert tree_set.class_names == (("a", "b\\udcff\\x1b"),)
    assert write_lists(str(tree), str(lists)) == {"train.csv": 2 * len(HOSTILE)}
    list_set = DATASETS.get("kinetics")(Lists(str(lists), str(tree)), "train")
    assert list_set.class_names == tree_set.class_names
    for videos in (tree_set, list_set):
        assert {os.path.basename(os.fsencode(r.path)) for r in videos} == set(HOSTILE)
        assert all(os.path.isfile(r.path) and r.shown.isprintable() for r in videos)
    (tree / "train" / "a" / "two\nlines.mp4").touch()
    with pytest.raises(DataError, match=r"two\\nlines.mp4 0': a name with a line break"):
        write_lists(str(tree), str(lists))
    assert len(read_class_folders(Lists(str(tree)), "train")) == 2 * len(HOSTILE) + 1
