"""Official files: what is read from them, and what is said when they are missing or broken."""

import numpy as np
import pytest
from lra_cases import recipe

from projects.lra.tasks import build_task
from projects.lra.tasks.image import grey_examples
from slowfast_ext.errors import DataError


def read(task, folder):
    return build_task(recipe(task, "LRA.DATA_DIR", folder)).read()


@pytest.mark.parametrize(
    ("task", "named"),
    [("text", "aclImdb"), ("retrieval", "new_aan_pairs"), ("image", "cifar-10-python.tar.gz")],
)
def test_missing_files_are_named(tmp_path, task, named):
    with pytest.raises(DataError, match=named):
        read(task, tmp_path)


def write_reviews(root):
    for split in ("train", "test"):
        for name, text in (("neg", b"bad"), ("pos", b"good \xc3\xa9")):
            folder = root / "aclImdb" / split / name
            folder.mkdir(parents=True)
            (folder / "0_1.txt").write_bytes(text)
    return root


def test_reviews_are_bytes_plus_one(tmp_path):
    splits = read("text", write_reviews(tmp_path))
    assert splits.val is splits.test
    ids, labels = splits.train.batch([1, 0], 8)
    assert ids[:, 0].tolist() == [
        [b + 1 for b in b"good \xc3\xa9"] + [0],
        [b + 1 for b in b"bad"] + [0] * 5,
    ]
    assert labels.tolist() == [1, 0]


def test_reviews_are_cut(tmp_path):
    (write_reviews(tmp_path) / "aclImdb/train/neg/0_1.txt").write_bytes(b"x" * 5000)
    assert read("text", tmp_path).train.starts.tolist() == [0, 4000, 4007]


@pytest.mark.parametrize(("text", "said"), [(b"", "no text"), (b"\xff", "no UTF-8")])
def test_a_broken_review_is_named(tmp_path, text, said):
    (write_reviews(tmp_path) / "aclImdb/test/pos/0_1.txt").write_bytes(text)
    with pytest.raises(DataError, match=f"pos/0_1.txt: .*{said}"):
        read("text", tmp_path)


def write_pairs(root, line):
    for split in ("train", "eval", "test"):
        (root / f"new_aan_pairs.{split}.tsv").write_bytes(b"0.0\tA\tB\tone\tother\n" + line)
    return root


def test_pairs_are_two_sequences(tmp_path):
    test = read("retrieval", write_pairs(tmp_path, b"1.0\tA\tC\tab\tb\n")).test
    ids, labels = test.batch([1], 4)
    assert ids.tolist() == [[[98, 99, 0, 0], [99, 0, 0, 0]]]
    assert labels.tolist() == [1]
    assert test.part(1, 2).batch([0], 4)[0].tolist() == ids.tolist()


@pytest.mark.parametrize(
    "line", [b"1.0\tA\tB\ttext\n", b"yes\tA\tB\tone\ttwo\n", b"1.0\tA\tB\t\tx\n"]
)
def test_a_broken_pair_is_named(tmp_path, line):
    with pytest.raises(DataError, match=r"train\.tsv:2"):
        read("retrieval", write_pairs(tmp_path, line))


def test_grey_levels():
    rgb = np.array([[[[255, 255, 255], [255, 0, 0]], [[0, 100, 0], [0, 0, 0]]]], dtype=np.uint8)
    assert grey_examples(rgb, [3]).ids.tolist() == [255, 76, 59, 0]
