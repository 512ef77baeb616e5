"""What is read of a folder or a table, and what is said of one that cannot be used."""

import os

import pytest

from slowfast_ext.errors import DataError
from slowfast_ext.finetune.clips import class_names, empty_folders, read_clips


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def facts(clips):
    return [(os.path.basename(c.path), c.label, c.split, c.group) for c in clips]


def test_class_folders_leave_the_split_open(tmp_path):
    touch(tmp_path, "sit/a.mp4", "walk/b.MP4", "walk/notes.txt", "walk/.hidden.mp4")
    (tmp_path / "empty").mkdir()
    assert facts(read_clips(tmp_path)) == [("a.mp4", "sit", "", ""), ("b.MP4", "walk", "", "")]
    assert empty_folders(tmp_path) == ["empty"]


def test_split_folders_and_a_table_of_the_tree_give_the_split(tmp_path):
    touch(tmp_path / "one", "train/sit/a.mp4", "val/sit/b.mp4")
    assert [c.split for c in read_clips(tmp_path / "one")] == ["train", "val"]
    touch(tmp_path / "two", "sit/a.mp4", "sit/b.mp4")
    (tmp_path / "two/clips.tsv").write_text(
        "path\tclass\tsplit\tsource_seq\nsit/a.mp4\tsit\ttrain\ts1\nsit/b.mp4\tsit\tval\ts2\n"
    )
    assert facts(read_clips(tmp_path / "two")) == [
        ("a.mp4", "sit", "train", "s1"), ("b.mp4", "sit", "val", "s2"),
    ]  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_table(tmp_path, separator):
    touch(tmp_path, "v/a b.mp4", "v/c.mp4")
    rows = (
        ["video", "class", "group"],
        ["v/a b.mp4", "sit", "g1"],
        [f"{tmp_path}/v/c.mp4", "walk", ""],
    )
    table = tmp_path / "videos.csv"
    table.write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8-sig")
    clips = read_clips(table)
    assert facts(clips) == [("a b.mp4", "sit", "", "g1"), ("c.mp4", "walk", "", "")]
    assert clips[0].location == f"{table}:2"


def test_numbers_are_classes_by_value(tmp_path):
    touch(tmp_path, *(f"{label}/a.mp4" for label in (10, 9, 2)))
    assert class_names(read_clips(tmp_path)) == ("2", "9", "10")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ([], "no videos .*it holds nothing"),
        (["sit/a.mp3", "sit/b.mp3", "c.txt"], "no videos .*it holds 2 .mp3, 1 .txt"),
        (["a.mp4"], "lie in no class folder"),
        (["set/sit/a.mp4"], "lie deeper than one folder a class"),
    ],
)
def test_folder_without_usable_videos(tmp_path, files, complaint):
    touch(tmp_path, *files)
    with pytest.raises(DataError, match=complaint):
        read_clips(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a.mp4,sit\n", "videos.csv:1: no column path and label; .* it is 'a.mp4,sit'"),
        ("path,name\na.mp4,sit\n", "no column label"),
        ("path,label\n", "lists no videos"),
        ("path,label\na.mp4,sit\nb.mp4,sit\nd.mp4,sit\n", "2 of 3 files are not there: .*b.mp4"),
        ("path,label\na.mp4\n", "videos.csv:2: 1 fields"),
        ("path,label\na.mp4,\n", "videos.csv:2: the label is empty"),
        ("path,label,split\na.mp4,sit,holdout\n", "videos.csv:2: the split 'holdout'"),
        ("path,label\na.mp4,sit\na.mp4,walk\n", "videos.csv:3: .*other facts at .*videos.csv:2"),
    ],
)
def test_table_that_cannot_be_used(tmp_path, text, complaint):
    touch(tmp_path, "a.mp4")
    (tmp_path / "videos.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_clips(tmp_path / "videos.csv")


def test_neither_folder_nor_table(tmp_path):
    touch(tmp_path, "a.mp4")
    with pytest.raises(DataError, match=r"neither a folder .*nor a table"):
        read_clips(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="no such folder or file"):
        read_clips(tmp_path / "none")
