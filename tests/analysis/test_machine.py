"""slowfast-ext doctor: a verdict for each part, and an exit code."""

import os
import re
import shutil

import pytest
import torch

from slowfast_ext import cli
from slowfast_ext.analysis import machine, readers
from slowfast_ext.data.decode.base import DECODERS


def test_the_whole_command_says_one_line_a_part(capsys, tmp_path):
    code = cli.main(["doctor", "--quick", "--folder", str(tmp_path)])
    said = capsys.readouterr().out
    for part in ("slowfast_ext", "python", "torch", "GPU", "cores", "disk", "pyav", "decode"):
        assert re.search(rf"^(ok|note|bad) +{part}", said, re.M), said
    assert re.search(r"16 of 250 frames .* \d+ ms", said)
    assert ("\nfit for training" in said) == (code == 0)
    assert not list(tmp_path.iterdir())


def test_pyav_reads_every_codec_exactly(tmp_path):
    found = {finding.what: finding for finding in readers.readers(tmp_path)}
    assert found["pyav"].verdict == machine.OK
    assert {"h264", "vp9", "mpeg4"} <= set(re.findall(r"\w+", found["pyav"].found))


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no such call on this system")
def test_an_encoder_leaves_the_priority_as_it_was(tmp_path):
    """SVT-AV1 makes the thread of a superuser a realtime one, and everything else on the machine waits."""
    before = os.sched_getscheduler(0)
    readers._written(tmp_path, "av1")
    assert os.sched_getscheduler(0) == before


class OffByOne(DECODERS.get("pyav")):
    """A reader that gives the frame before the one that is asked for."""

    @staticmethod
    def exact(index):
        return True

    def frames(self, indices, out):
        super().frames([max(0, i - 1) for i in indices], out)


def test_a_reader_of_other_frames_is_bad(tmp_path, monkeypatch):
    path = readers._written(tmp_path, "h264")
    assert readers._verdict("pyav", str(path)) == machine.OK
    monkeypatch.setitem(DECODERS._things, "pyav", OffByOne)
    assert "other frames" in readers._verdict("pyav", str(path))


def test_a_codec_without_encoder_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(readers.av, "codecs_available", set())
    (first, *_) = readers.readers(tmp_path, ["h264"])
    assert first.verdict == machine.NOTE
    assert "no encoder" in first.found


@pytest.mark.parametrize(("free", "verdict"), [(64 * 2**20, machine.BAD), (8 * 2**30, machine.OK)])
def test_shared_memory_of_a_container(tmp_path, monkeypatch, free, verdict):
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage)
    (finding,) = machine.shared_memory(tmp_path)
    assert finding.verdict == verdict
    assert ("--shm-size" in finding.advice) == (verdict == machine.BAD)


def test_a_folder_that_is_not_there_is_bad(tmp_path):
    finding = machine.disk(tmp_path / "nowhere")
    assert finding.verdict == machine.BAD
    assert "nowhere" in finding.found


def test_a_gpu_that_torch_cannot_use_is_bad(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine.Path, "exists", lambda path: str(path) == "/dev/nvidiactl")
    (finding,) = machine.devices()
    assert finding.verdict == machine.BAD
    monkeypatch.setattr(machine.Path, "exists", lambda path: False)
    (finding,) = machine.devices()
    assert finding.verdict == machine.NOTE


def test_bad_findings_are_the_exit_code(capsys, monkeypatch):
    bad = machine.Finding("disk", machine.BAD, "full", "free some")
    monkeypatch.setattr("slowfast_ext.cli.doctor._findings", lambda folder, quick: iter([bad]))
    assert cli.main(["doctor"]) == 1
    assert "-> free some" in capsys.readouterr().out


def test_a_step_is_timed():
    assert re.search(r"forward and backward", machine.step(frames=4, size=32).found)
    failed = machine.guarded("step", lambda: machine.step("unheard_of"))
    assert failed.verdict == machine.BAD
