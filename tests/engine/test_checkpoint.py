import os
import pickle
import resource
import zipfile

import pytest
import torch

from slowfast_ext.engine.checkpoint import (
    CheckpointStore,
    Position,
    read_checkpoint,
)
from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import read_torch_file, read_weights, write_atomically


def state(epoch=0, step=0):
    return {"model_state": {"w": torch.arange(1000.0)}, "position": {"epoch": epoch, "step": step}}


def test_keeps_the_last_k_and_the_best(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    store.save(state(1), Position(1))
    store.mark_best(Position(1))
    for epoch in (2, 3, 4):
        store.save(state(epoch), Position(epoch))
    assert [p.name for p in store.newest_first()] == [
        "checkpoint_epoch_00004.pyth",
        "checkpoint_epoch_00003.pyth",
    ]
    assert read_checkpoint(store.find("best"))["position"]["epoch"] == 1
    assert store.find("") == store.newest_first()[0]


def test_what_was_just_written_stays_beside_later_positions_of_another_run(tmp_path):
    for epoch in (7, 8):
        CheckpointStore(tmp_path, keep=2).save(state(epoch), Position(epoch))
    store = CheckpointStore(tmp_path, keep=2)
    paths = [store.save(state(epoch), Position(epoch)) for epoch in (1, 2, 3)]
    assert sorted(store.newest_first()) == paths[1:]


def test_a_step_comes_after_the_epochs_before_it(tmp_path):
    store = CheckpointStore(tmp_path, keep=0)
    order = [Position(9), Position(9, 3), Position(9, 20), Position(10), Position(10, 1)]
    for position in reversed(order):
        store.save(state(), position)
    assert [p.name for p in reversed(store.newest_first())] == [p.file_name for p in order]


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_bit(path):
    with zipfile.ZipFile(path) as archive:
        info = max(archive.infolist(), key=lambda item: item.file_size)
    data = bytearray(path.read_bytes())
    data[info.header_offset + 1000] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "damage", [damage_truncate, damage_bit, lambda path: path.write_bytes(b"")]
)
def test_damaged_newest_is_reported_and_passed_over(tmp_path, damage, caplog):
    store = CheckpointStore(tmp_path, keep=0)
    store.save(state(1), Position(1))
    damage(store.save(state(2), Position(2)))
    path, found = store.newest_sound()
    assert (path.name, found["position"]["epoch"]) == ("checkpoint_epoch_00001.pyth", 1)
    assert "checkpoint_epoch_00002.pyth" in caplog.text


class Gadget:
    def __reduce__(self):
        return os.mkdir, ("/tmp/slowfast_ext_gadget_ran",)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path):
    for name, write in (("new", torch.save), ("old", lambda o, p: p.write_bytes(pickle.dumps(o)))):
        path = tmp_path / f"{name}.pyth"
        write({"model_state": Gadget()}, path)
        with pytest.raises(CheckpointError, match=str(path)):
            read_weights(path)
    assert not os.path.exists("/tmp/slowfast_ext_gadget_ran")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", "web page"),
        (b"\n <HTML>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "LFS"),
        (b"", "empty"),
        (b"PK\x03\x04 cut", "damaged"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, words):
    path = tmp_path / "weights.pyth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        read_torch_file(path)


def test_missing_and_broken_weights(tmp_path):
    for name in ("a.pyth", "a.safetensors"):
        with pytest.raises(CheckpointError, match="no such file"):
            read_weights(tmp_path / name)
    (tmp_path / "b.safetensors").write_bytes(b"nonsense" * 10)
    with pytest.raises(CheckpointError, match="no sound safetensors"):
        read_weights(tmp_path / "b.safetensors")


def test_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_full_disk_while_torch_saves(tmp_path):
    """A file-size limit stops the write as a full disk does: in the middle."""
    store = CheckpointStore(tmp_path, keep=0)
    first = store.save(state(1), Position(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        with pytest.raises(CheckpointError, match="not written"):
            store.save(state(2), Position(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [p.name for p in store.folder.iterdir()] == [first.name]
    assert store.newest_sound()[0] == first
