"""VIDEO|FOLDER|GLOB|LIST -> videos."""

import io
import os

import pytest

from slowfast_ext.errors import DataError
from slowfast_ext.predict.lists import videos_of


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in (
        "a/1.mp4",
        "a/2.MP4",
        "b/c/3.webm",
        "b/notes.md",
        "f/00001.jpg",
        "f/00002.jpg",
        ".hidden/4.mp4",
        "empty/x.md",
    ):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tree"


def found(*named):
    return [(own.record.path, own.below) for own in videos_of(named)]


def test_folders_are_searched(tree):
    assert found("tree") == [
        ("tree/a/1.mp4", "a/1.mp4"), ("tree/a/2.MP4", "a/2.MP4"), ("tree/b/c/3.webm", "b/c/3.webm"), ("tree/f", "f"),
    ]  # fmt: skip
    assert found("tree/f") == [("tree/f", "f")]
    assert found("tree/a/1.mp4", "tree/a", "./tree/a/1.mp4") == [
        ("tree/a/1.mp4", "1.mp4"), ("tree/a/2.MP4", "2.MP4"),
    ]  # fmt: skip


def test_patterns(tree):
    assert [path for path, _ in found("tree/**/*.mp4")] == ["tree/a/1.mp4"]
    assert [path for path, _ in found("tree/?")][:2] == ["tree/a/1.mp4", "tree/a/2.MP4"]
    (tree / "odd[1].mp4").touch()
    assert found("tree/odd[1].mp4") == [("tree/odd[1].mp4", "odd[1].mp4")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.txt", "# mine\na/1.mp4\n\nb/c/3.webm\n"),
        ("l.txt", "a/1.mp4 7\nb/c/3.webm 12\n"),
        ("l.csv", "a/1.mp4 7\nb/c/3.webm 12\n"),
        ("l.csv", "a/1.mp4,7,2\nb/c/3.webm,12,3\n"),
        ("l.csv", 'class,path\nx,a/1.mp4\ny,"b/c/3.webm"\n'),
        ("l.tsv", "path\tclass\na/1.mp4\tx\nb/c/3.webm\ty\n"),
    ],
)
def test_lists(tree, name, content):
    (tree / name).write_text(content)
    assert [path for path, _ in found(f"tree/{name}")] == ["tree/a/1.mp4", "tree/b/c/3.webm"]
    assert [below for _, below in found(f"tree/{name}")] == ["a/1.mp4", "b/c/3.webm"]


def test_a_list_may_name_what_is_not_there(tree):
    (tree / "l.txt").write_text("tree/a/1.mp4\nnowhere.mp4\n")
    (first, second) = videos_of(["tree/l.txt"])
    assert first.record.path == "tree/a/1.mp4"
    assert second.record.location == "tree/l.txt:2"


@pytest.mark.parametrize("folder", ["", "tree"])
@pytest.mark.parametrize("address", ["s3://bucket/a.mp4 3", "http://x.org/a.mp4"])
def test_an_address_in_a_list_is_named_and_not_asked_for(tree, folder, address, monkeypatch):
    path = os.path.join(folder, "l.csv")
    (tree.parent / path).write_text(f"{address}\n")
    monkeypatch.setattr("fsspec.core.url_to_fs", None)
    with pytest.raises(DataError, match=rf"{path}:1: {address}: is an address, not a file"):
        videos_of([path])


def test_a_list_from_a_pipe(tree, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("tree/a/1.mp4\n"))
    assert [path for path, _ in found("-")] == ["tree/a/1.mp4"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("nowhere.mp4", "no such file"),
        ("tree/empty", "no videos in this folder.*x.md"),
        ("tree/*.avi", "matches no video"),
        ("https://x.org/v.mp4", "download"),
        ("void.txt", "names no video"),
    ],
)
def test_mistakes(tree, named, words):
    (tree.parent / "void.txt").write_text("\n")
    with pytest.raises(DataError, match=words):
        videos_of([named])
