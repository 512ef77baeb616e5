"""Packs: the same frames to the bit as from loose files, whatever is damaged costs a sample, packing goes on."""

import errno
import os
import sqlite3
import tarfile

import pytest
import torch
import video_makers
from packs import FOLDER, INDICES, VIDEOS, frames, pack
from torch.utils.data import DataLoader

from slowfast_ext.cli import data as data_command
from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.create import create_dataset
from slowfast_ext.data.decode.source import DecodeOptions, VideoSource
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.storage import pack as reading
from slowfast_ext.data.storage import store
from slowfast_ext.data.storage.shards import Range, neighbours
from slowfast_ext.errors import DataError


@pytest.fixture
def copy(packed, tmp_path):
    """A pack to damage."""
    out = tmp_path / "copy"
    out.mkdir()
    for file in packed.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    return out


def shard_of(out, name):
    folder, file = os.path.split(name)
    folder, file = (name, "00001.jpg") if name == FOLDER else (folder, file)
    with sqlite3.connect(out / "pack.sqlite") as index:
        return (
            out
            / index.execute(
                "SELECT shards.name FROM files JOIN folders ON folders.id = folder JOIN shards ON shards.id = shard"
                " WHERE folders.path = ? AND files.name = ?",
                (folder.encode(), file.encode()),
            ).fetchone()[0]
        )


def members(shard):
    with tarfile.open(shard) as file:
        return file.getnames()


@pytest.mark.parametrize("name", [*VIDEOS, FOLDER])
def test_frames_are_the_same_to_the_bit(loose, packed, name):
    info, clip = frames(packed, name)
    expected = frames(loose, name)
    assert info == expected[0]
    assert torch.equal(clip, expected[1])


@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_in_the_decoding_process_too(loose, packed, backend):
    expected = frames(loose, "b_frames.mp4")[1]
    assert torch.equal(frames(packed, "b_frames.mp4", backend, timeout=60.0)[1], expected)


def test_large_files_are_read_in_pieces(loose, packed, monkeypatch):
    monkeypatch.setattr(reading, "READ_WHOLE", 100)
    for name in VIDEOS:
        with store.packed(f"{packed}/{name}") as file:
            assert file.read() == (loose / name).read_bytes()
            assert file.read(5) == b""
            file.seek(-7, os.SEEK_END)
            assert file.read() == (loose / name).read_bytes()[-7:]
        assert torch.equal(frames(packed, name)[1], frames(loose, name)[1])


def test_the_index_of_a_video_is_saved_and_moves_with_the_pack(packed, copy, tmp_path):
    cache = tmp_path / "cache"
    frames(packed, "b_frames.mp4", cache=[str(cache)])
    source = VideoSource(DecodeOptions(decode_timeout=0), [str(cache)], str(copy))
    source._scan = None  # no need to look at the file again
    assert source.info(VideoRecord(f"{copy}/b_frames.mp4", (0,), "")).length == video_makers.FRAMES


def test_webdataset_reads_the_shards(loose, packed):
    webdataset = pytest.importorskip("webdataset")
    urls = sorted(str(path) for path in packed.glob("*.tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    by_path = {sample["json"]["path"]: sample for sample in samples}
    assert set(by_path) == {*VIDEOS, FOLDER}
    assert all(s["json"]["clips"] == [{"split": "train", "labels": [1]}] for s in samples)
    assert bytes(by_path["b_frames.mp4"]["mp4"]) == (loose / "b_frames.mp4").read_bytes()
    images = {key: value for key, value in by_path[FOLDER].items() if key.endswith(".jpg")}
    assert len(images) == 12
    assert images["00003.jpg"].shape[:2] == (48, 64)


def test_lists_work_as_before_and_those_in_the_pack(loose, packed, tmp_path):
    common = ["MODEL.NUM_CLASSES", 2, "OUTPUT_DIR", tmp_path]
    own = ["DATA.PATH_TO_DATA_DIR", loose, "DATA.PATH_PREFIX", packed, *common]
    inside = ["DATA.PATH_TO_DATA_DIR", packed, "TRAIN.DATASET", "manifest", *common]
    for pairs in (own, inside):
        videos = read_videos(load_config([], list(map(str, pairs))), "train")
        assert [record.name for record in videos] == [*VIDEOS, FOLDER]
        assert [record.path for record in videos] == [
            f"{packed}/{name}" for name in (*VIDEOS, FOLDER)
        ]
    assert videos.class_names == (("rise", "fall"),)
    with pytest.raises(DataError, match="set to manifest"):
        create_dataset("class_folders", packed)


def test_loader_processes_read_from_a_pack(loose, packed):
    made = [
        create_dataset("kinetics", loose, "train", crop_size=32, num_frames=4, sampling_rate=2, num_classes=2,
                       media_folder=folder, options=[DecodeOptions(decode_timeout=0)])
        for folder in (loose, packed)
    ]  # fmt: skip
    clips, expected = (list(DataLoader(data, None, num_workers=1)) for data in reversed(made))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(clips, expected, strict=True))


@pytest.mark.parametrize("name", ["b_frames.mp4", FOLDER])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_damage_costs_a_sample_and_names_the_shard(copy, name, harm):
    shard = shard_of(copy, name)
    content = bytearray(shard.read_bytes())
    content[1200] ^= 1
    if harm == "gone":
        shard.unlink()
    else:
        shard.write_bytes(content if harm == "flipped" else content[:700])
    with pytest.raises(DataError, match=rf"list:1.*{shard.name}.*"):
        frames(copy, name)
    assert frames(copy, VIDEOS[1])[1].shape[0] == len(INDICES)


def test_a_damaged_index_is_named(copy):
    (copy / "pack.sqlite").write_bytes(b"not an index" * 100)
    with pytest.raises(DataError, match=r"pack\.sqlite: is not the index of a pack"):
        frames(copy, VIDEOS[0])


def test_missing_files_are_missing(packed):
    with pytest.raises(DataError, match="no such file in the pack"):
        frames(packed, "absent.mp4")
    assert not store.exists(f"{packed}/absent.mp4")
    assert store.exists(f"{packed}/{VIDEOS[1]}")
    assert sorted(store.names(str(packed))) == sorted(["b_frames.mp4", "sub.1", VIDEOS[2], FOLDER])
    with pytest.raises(FileNotFoundError):
        store.names(f"{packed}/absent")


def test_packing_goes_on_where_it_was_interrupted(loose, tmp_path, monkeypatch):
    """The disk is full at the third shard: what is whole stays, and the rest comes with the next run."""
    calls = []
    fsync = os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        DataError, match=r"No space left on device; 2 of 4 are packed; free some space"
    ):
        pack(loose, tmp_path)
    assert not list(tmp_path.glob(".*.part"))
    (tmp_path / ".train-000002.tar.part").write_bytes(b"of a killed run")
    (tmp_path / "train-000009.tar").write_bytes(
        b"of a run that was killed before it told the index"
    )
    job, failed = pack(loose, tmp_path)
    assert (job.done, len(job), failed) == (2, 2, [])
    assert not list(tmp_path.glob(".*.part"))
    assert {path.name for path in tmp_path.glob("*.tar")} == {
        f"train-00000{i}.tar" for i in range(4)
    }
    assert torch.equal(frames(tmp_path, FOLDER)[1], frames(loose, FOLDER)[1])
    assert len(pack(loose, tmp_path)[0]) == 0


def test_a_pack_of_other_files_is_refused(loose, copy, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="choose another folder for --out"):
        pack(other, copy, names=["x.mp4"])


def test_what_cannot_be_read_is_left_out_and_named(loose, tmp_path):
    root = tmp_path / "root"
    (root / "empty").mkdir(parents=True)
    (root / "a.mp4").write_bytes((loose / "b_frames.mp4").read_bytes())
    names = ["a.mp4", "absent.mp4", "empty"]
    _, failed = pack(root, tmp_path / "out", shard_size=1, names=names)
    assert sorted(line.removeprefix(f"{root}/") for line in failed) == [
        "absent.mp4: No such file or directory",
        "empty: has no images",
    ]
    (shard,) = (tmp_path / "out").glob("*.tar")
    assert members(shard) == ["a.mp4", "a.json"]


def test_names_of_any_bytes_and_equal_stems(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    names = [
        os.fsdecode(b"\xff\xfe.mp4"),
        "クリップ.mp4",
        "x" * 150 + ".mp4",
        "same.mp4",
        "same.webm",
    ]
    for number, name in enumerate(names):
        (root / name).write_bytes(bytes([number]) * 1000)
    _, failed = pack(root, tmp_path / "out", shard_size=1, names=names)
    assert failed == []
    for number, name in enumerate(names):
        assert store.read(str(tmp_path / "out"), [name]) == [bytes([number]) * 1000]
    (shard,) = (tmp_path / "out").glob("*.tar")
    assert len({name.partition(".")[0] for name in members(shard)}) == len(names)


def test_the_command(loose, tmp_path, capsys):
    args = ["DATA.PATH_TO_DATA_DIR", loose, "OUTPUT_DIR", tmp_path, "MODEL.NUM_CLASSES", 2]
    command = ["pack", "--out", tmp_path / "out", "--workers", 2, *args]
    assert data_command.main(list(map(str, command))) == 0
    printed = capsys.readouterr().out
    assert "4 are in" in printed
    assert "set DATA.PATH_PREFIX to" in printed
    assert {path.name for path in (tmp_path / "out").glob("*.tar")} == {"train-000000.tar"}
    assert data_command.main(list(map(str, command))) == 0
    assert "4 of them packed before" in capsys.readouterr().out


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_the_command_with_74(loose, tmp_path, capsys, monkeypatch, workers):
    """Whichever process meets it."""

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    args = ["DATA.PATH_TO_DATA_DIR", loose, "OUTPUT_DIR", tmp_path, "MODEL.NUM_CLASSES", 2]
    command = ["pack", "--out", tmp_path / "out", "--workers", workers, *args]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert data_command.main(list(map(str, command))) == 74
    said = capsys.readouterr().err
    assert "No space left on device; 0 of 4 are packed; free some space" in said
    assert "Traceback" not in said
    assert data_command.main(list(map(str, command))) == 0
    assert "4 are in" in capsys.readouterr().out


def test_neighbours_come_with_one_request():
    ranges = [Range(100, 10), Range(0, 10), Range(12, 5), Range(100, 10)]
    assert neighbours(ranges, 2) == [[Range(0, 10), Range(12, 5)], [Range(100, 10)]]
