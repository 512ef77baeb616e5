import os
import pickle
import random
import resource
import time
import zipfile
from pathlib import Path

import pytest
import torch

from slowfast_ext.engine.checkpoint import (
    BEST,
    CheckpointStore,
    Position,
    read_checkpoint,
)
from slowfast_ext.errors import CheckpointError
from slowfast_ext.files import (
    append_text,
    read_torch_file,
    read_weights,
    remove_temporary,
    write_atomically,
)


def state(epoch=0, step=0):
    moments = {"step": torch.tensor(1.0), "exp_avg": torch.zeros(1000)}
    return {
        "model_state": {"w": torch.arange(1000.0)},
        "ema_state": None,
        "optimizer_state": {"state": {0: moments}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "stepper_state": {"counts": torch.zeros(3), "scaler": {}},
        "position": {"epoch": epoch, "step": step},
        "meter": {"epoch": {"loss": 1.0}},
        "best": 0.0,
        "evaluation_pending": False,
        "cfg": "RNG_SEED: 1\n",
    }


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


def test_what_was_just_written_stays_whatever_the_clock_says(tmp_path):
    """KEEP_CHECKPOINTS 1, a damaged newer one and files from the future: two machines' clocks may differ."""
    store = CheckpointStore(tmp_path, keep=1)
    path = store.save(state(5), Position(5))
    os.utime(path, (time.time() + 1e6,) * 2)
    path.write_bytes(b"damaged")
    written = store.save(state(4), Position(4))
    assert store.newest_first() == [written]
    assert store.newest_sound()[0] == written


@pytest.mark.parametrize("before", ["stat", "unlink"])
def test_another_process_removes_the_old_ones_too(tmp_path, monkeypatch, before):
    store = CheckpointStore(tmp_path, keep=2)
    old = [store.save(state(epoch), Position(epoch)) for epoch in (1, 2)]
    own = getattr(Path, before)

    def late(path, **options):
        if path == old[0]:
            os.remove(path)
            monkeypatch.undo()
        return own(path, **options)

    monkeypatch.setattr(Path, before, late)
    assert store.save(state(3), Position(3)).is_file()
    assert not old[0].exists()
    assert old[1].exists()


def test_the_best_is_gone_on_from_where_nothing_else_is_sound(tmp_path):
    store = CheckpointStore(tmp_path, keep=0)
    store.save(state(1), Position(1))
    store.mark_best(Position(1))
    store.path(Position(1)).unlink()
    store.save(state(2), Position(2)).write_bytes(b"damaged")
    path, found = store.newest_sound()
    assert (path.name, found["position"]["epoch"]) == (BEST, 1)


def test_checkpoints_of_another_run_are_set_aside(tmp_path):
    store = CheckpointStore(tmp_path, keep=0)
    stats = tmp_path / "stats.jsonl"
    assert store.set_aside(stats) is None
    for number in (1, 2):
        stats.write_text(f"{number}")
        store.save(state(9), Position(9))
        aside = store.set_aside(stats)
        assert aside == tmp_path / f"checkpoints_before_{number}"
        assert [path.name for path in aside.iterdir()] == ["checkpoint_epoch_00009.pyth"]
        assert store.newest_first() == []
        assert (tmp_path / f"stats_before_{number}.jsonl").read_text() == f"{number}"
        assert not stats.exists()


def test_nothing_stays_beside_a_file(tmp_path):
    """Nor where the best is marked twice, nor of a process that was killed while it wrote."""
    store = CheckpointStore(tmp_path, keep=0)
    store.save(state(1), Position(1))
    for _ in range(2):
        store.mark_best(Position(1))
    killed = store.folder / ".checkpoint_epoch_00002.pyth.123.tmp"
    killed.write_bytes(b"half")
    remove_temporary(store.folder)
    assert {path.name for path in store.folder.iterdir()} == {BEST, "checkpoint_epoch_00001.pyth"}


def test_a_step_comes_after_the_epochs_before_it(tmp_path):
    store = CheckpointStore(tmp_path, keep=0)
    order = [Position(9), Position(9, 3), Position(9, 20), Position(10), Position(10, 1)]
    for position in reversed(order):
        store.save(state(), position)
    assert [p.name for p in reversed(store.newest_first())] == [p.file_name for p in order]


def test_what_a_test_finds(tmp_path):
    """The newest that is sound, the newest of all where none is, or a line that says that there is none."""
    store = CheckpointStore(tmp_path / "no" / "folder", keep=0)
    for choice in ("", "best"):
        with pytest.raises(CheckpointError, match="no checkpoint to test"):
            store.find(choice)
    one, two = (store.save(state(epoch), Position(epoch)) for epoch in (1, 2))
    assert store.find("") == two
    with pytest.raises(CheckpointError, match="no checkpoint to test"):
        store.find("best")
    two.write_bytes(b"damaged")
    assert store.find("") == one
    one.write_bytes(b"damaged")
    assert store.find("") == two


def test_minutes_since_a_checkpoint_was_written(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    store = CheckpointStore(tmp_path, keep=0)
    now[0] += 90
    assert store.minutes_since_save == 1.5
    store.save(state(1), Position(1))
    now[0] += 30
    assert store.minutes_since_save == 0.5


def test_a_line_that_was_cut_short_is_ended_first(tmp_path):
    path = tmp_path / "lines"
    for text in ("one\n", "two\n", "thr", "four\n"):
        append_text(path, text)
    assert path.read_text() == "one\ntwo\nthr\nfour\n"


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


def small():
    """The parts of a checkpoint, in few bytes."""
    found = state(2)
    found["model_state"]["w"] = torch.arange(20.0)
    found["optimizer_state"]["state"][0]["exp_avg"] = torch.ones(2)
    return found


def same(one, two):
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return isinstance(two, dict) and [*one] == [*two] and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list):
        return isinstance(two, list) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_whatever_bit_is_flipped_the_content_is_the_same_or_refused(tmp_path):
    """Headers, directory and content: every seventh byte, a bit by chance; and cuts."""
    store, chance = CheckpointStore(tmp_path, keep=0), random.Random(0)
    path, written = store.save(small(), Position(2)), small()
    good, refused = path.read_bytes(), 0
    variants = [(place, 1 << chance.randrange(8)) for place in range(0, len(good), 7)]
    for place, bit in [*variants, *((cut, 0) for cut in range(0, len(good), 97))]:
        data = bytearray(good if bit else good[:place])
        if bit:
            data[place] ^= bit
        path.write_bytes(data)
        try:
            assert same(read_checkpoint(path), written), place
        except CheckpointError:
            refused += 1
    assert refused > len(good) // 20


WRONG = {
    "model_state": [5, None, [], {"w": 5}, {1: torch.zeros(1)}],
    "ema_state": [5, {"w": None}],
    "optimizer_state": [5, None, {}, {"state": [], "param_groups": []}, {"state": {0: 1}, "param_groups": []},
                        {"state": {}, "param_groups": [1]}, {"state": {}, "param_groups": [{}]}],
    "stepper_state": [None, {}, {"counts": 1, "scaler": {}}, {"counts": torch.zeros(2), "scaler": {}},
                      {"counts": torch.zeros(3), "scaler": 4}],
    "position": [None, {}, {"epoch": 1}, {"epoch": "1", "step": 0}, {"epoch": -1, "step": 0}],
    "meter": [None, {"epoch": 3}, {"epoch": {"loss": "x"}}],
    "best": [None, "much"],
    "evaluation_pending": [None, "no"],
    "cfg": [None, {}],
}  # fmt: skip


@pytest.mark.parametrize("key", WRONG)
def test_a_part_of_a_wrong_kind_is_passed_over(tmp_path, key, caplog):
    store = CheckpointStore(tmp_path, keep=0)
    sound = store.save(state(1), Position(1))
    for wrong in [*WRONG[key], "missing"]:
        found = {**state(2), key: wrong}
        if wrong == "missing" and key != "ema_state":
            del found[key]
        path = store.save(found, Position(2))
        caplog.clear()
        assert store.newest_sound()[0] == sound, wrong
        assert path.name in caplog.text
        assert key in caplog.text


class Gadget:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path):
    for name, write in (("new", torch.save), ("old", lambda o, p: p.write_bytes(pickle.dumps(o)))):
        path = tmp_path / f"{name}.pyth"
        write({"model_state": Gadget(tmp_path / "ran")}, path)
        with pytest.raises(CheckpointError, match=str(path)):
            read_weights(path)
    assert not (tmp_path / "ran").exists()


def test_what_torch_says_of_a_pickle_is_shown_in_short(tmp_path):
    torch.save({"model_state": Gadget(tmp_path)}, tmp_path / "a.pyth")
    with pytest.raises(CheckpointError, match=r"alone\. \([^\n]{300}\)$"):
        read_weights(tmp_path / "a.pyth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", "web page"),
        (b"\n <HTML>", "web page"),
        (b"<?xml version='1.0'?><error/>", "web page"),
        (b"\xef\xbb\xbf<html>", "web page"),
        (b"PK\x03\x04" + b"x" * 503 + b"<HTML>", "web page"),
        (b"PK\x03\x04" + b"x" * 504 + b"<HTML>", "damaged"),
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
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
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
