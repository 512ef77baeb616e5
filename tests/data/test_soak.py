"""Two loader workers over many samples, and over every kind of broken file, as training runs them."""

import csv
import os
import shutil
import time
from collections import Counter

import fake_decoders
import numpy as np
import process_tree
import pytest
import torch
import video_makers as makers
from fakes import make_cfg
from reference_data import SHARED

from slowfast_ext.data.decode.source import DECODERS
from slowfast_ext.data.loader import TrainLoader
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.engine.distributed import World
from slowfast_ext.engine.read_errors import FILE, ReadErrors
from slowfast_ext.tasks import build_task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc"),
]

AUGMENTED = {
    "AUG__AA_TYPE": "rand-m7-n2-mstd0.5-inc1",
    "AUG__COLOR_JITTER": 0.4,
    "AUG__RE_PROB": 0.25,
    "DATA_LOADER__NUM_WORKERS": 2,
}
LIMIT_S = 3.0
SAMPLES, WARM = 5000, 1500


def video_set(paths):
    records = [
        VideoRecord(str(path), (i % 3,), f"train.csv:{i + 1}", name=str(i))
        for i, path in enumerate(paths)
    ]
    return VideoSet("soak", "train", records)


def all_gone(pids, seconds=30):
    end = time.monotonic() + seconds
    while set(pids) & set(process_tree.descendants()) and time.monotonic() < end:
        time.sleep(0.1)
    return not set(pids) & set(process_tree.descendants())


def test_memory_stays_flat_over_5000_samples(tmp_path, capsys):
    """All processes of a loader: workers, and the decoders beside them."""
    kinds = (makers.b_frames, makers.webm, makers.avi_b_frames, makers.variable_rate)
    videos = video_set([make(tmp_path) for make in kinds] * 25)
    cfg = make_cfg(TRAIN__BATCH_SIZE=20, OUTPUT_DIR=str(tmp_path), **AUGMENTED)
    loader, read, memory = TrainLoader.from_cfg(cfg, videos, build_task(cfg)), 0, []
    for epoch in range(SAMPLES // len(videos)):
        for batch in loader.epoch(epoch):
            assert not batch.bad
            read += len(batch.index_B)
        memory.append(process_tree.resident_mb(process_tree.descendants()))
    warm, last = (np.median(part) for part in (memory[WARM // 100 :][:10], memory[-10:]))
    with capsys.disabled():
        print(f"\n{read} samples: {warm:.0f} MB after {WARM}, {last:.0f} MB at the end")
    assert read == SAMPLES
    assert last - warm < 0.03 * warm


def broken_files(folder):
    """Files without a frame, or on which reading never ends."""
    makes = (makers.empty, makers.text, makers.header_missing, makers.sound_only)
    files = [make(folder) for make in makes]
    picture = folder / "picture.mp4"
    picture.write_bytes(np.random.default_rng(0).bytes(5000))
    # Opening waits for a writer, for ever.
    pipe = folder / "pipe.mp4"
    os.mkfifo(pipe)
    return [*files, str(picture), str(pipe), str(folder / "gone.mp4")]


def odd_files(folder):
    """Files that are damaged, or on which a decoder fails, but which have frames."""
    whole = makers.closed(folder)
    named_wrongly = folder / "webm_in_truth.mp4"
    shutil.copy(makers.webm(folder), named_wrongly)
    for name in ("hang.mp4", "crash.mp4"):
        shutil.copy(whole, folder / name)
    made = [
        make(folder)
        for make in (makers.claims_more, makers.cut_webm, makers.damaged_middle, makers.edit_list)
    ]
    return [*made, *(str(folder / n) for n in (named_wrongly.name, "hang.mp4", "crash.mp4"))]


def shared_files():
    """Of the folder of reference data, where there is one."""
    return sorted(str(path) for path in (SHARED / "videos").glob("[dmt]*/*.*"))


def test_an_epoch_over_broken_files_ends_with_all_its_samples(tmp_path, monkeypatch):
    monkeypatch.setitem(DECODERS._things, "moody", fake_decoders.MoodyReader)
    broken, odd = broken_files(tmp_path), odd_files(tmp_path)
    good = [make(tmp_path) for make in (makers.b_frames, makers.avi, makers.rotated)] * 8
    paths = [*good, *odd, *broken, *shared_files()]
    paths += good[: -len(paths) % 4]
    cfg = make_cfg(
        DATA__DECODING_BACKEND="moody",
        DATA__DECODE_TIMEOUT=LIMIT_S,
        OUTPUT_DIR=str(tmp_path / "out"),
        **AUGMENTED,
    )
    before = set(process_tree.descendants())
    loader = TrainLoader.from_cfg(cfg, video_set(paths), build_task(cfg))
    (tmp_path / "out").mkdir(exist_ok=True)
    ledger = ReadErrors(World(0, 1, 0, 1, torch.device("cpu")), tmp_path / "out", 1.0)
    read, counts, started = 0, Counter(), time.monotonic()
    for epoch in range(2):
        for batch in loader.epoch(epoch):
            assert batch.clip_BTCHW.shape == (4, 4, 3, 16, 16)
            ledger.add(batch)
            read += len(batch.index_B)
        counts += ledger.report()
    assert time.monotonic() - started < 60
    assert read == 2 * len(paths)
    with open(tmp_path / "out" / FILE, newline="") as file:
        listed = Counter(row["path"] for row in csv.DictReader(file))
    assert listed == Counter(broken)
    assert counts["moody failed"] >= 2
    ours = set(process_tree.descendants()) - before
    assert len(ours) >= 4
    del loader, batch
    assert all_gone(ours)
