"""Damaged files, whatever the damage: no end of the run, no hang, and no frame that a sequential read shows otherwise."""

import random
import time
from collections import Counter

import av
import fuzzing
import numpy as np
import pytest

from slowfast_ext.data.decode.source import DecodeOptions, LengthChangedError, VideoSource
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError

LIMIT_S = 30.0
SLOWEST_S = 20.0
QUICK, MANY = 2, 73


@pytest.fixture(scope="module")
def source():
    made = VideoSource(DecodeOptions(decode_timeout=LIMIT_S))
    yield made
    made.close()


@pytest.fixture(scope="module", params=fuzzing.KINDS)
def sound(request, tmp_path_factory):
    """(kind, bytes) of a file without damage."""
    if fuzzing.KINDS[request.param][0] not in av.codecs_available:
        pytest.skip(f"PyAV has no {fuzzing.KINDS[request.param][0]}")
    return request.param, fuzzing.make(tmp_path_factory.mktemp("sound"), request.param)


def wanted_frames(rnd, length):
    yield sorted(rnd.sample(range(length), min(4, length)))
    yield [length - 1, 0, rnd.randrange(length)]
    yield list(range(0, length, 3))


def varying(source, record, number):
    """Whether sequential reads themselves differ: where a decoder shows what its memory held before."""
    index = source.index(record)
    reads = [
        fuzzing.expected(
            index, [number], *source.watchdog.call(fuzzing.sequential, record.path, held)
        )[0]
        for held in (0, 1, 2, fuzzing.FRAMES)
    ]
    return any(not np.array_equal(reads[0], read) for read in reads)


def read(source, record, rnd):
    """What reading the file comes to: its frames compared with a sequential read, bit for bit."""
    for _ in range(2):
        try:
            length = source.info(record).length
            for wanted in wanted_frames(rnd, length):
                frames = source.frames(record, wanted).numpy()
                truth = source.watchdog.call(fuzzing.sequential, record.path)
                pictures = fuzzing.expected(source.index(record), wanted, *truth)
                for place, number in enumerate(wanted):
                    picture = pictures[place]
                    assert picture is not None, f"frame {number} is not there in a sequential read"
                    if not np.array_equal(frames[place], picture):
                        varies = varying(source, record, number)
                        assert varies, f"frame {number} of {length}"
                        return "undefined"
        except LengthChangedError:
            continue
        except DataError as error:
            reason = str(error)
            break
        return "read"
    else:
        raise AssertionError("the length changed twice")
    assert reason.startswith(record.shown)
    return "crashed" if "crashed" in reason else "refused"


def fuzz(source, kind, content, seeds, path):
    """Counts of what mutants came to; fails with the seeds of those that came to anything else."""
    counts, wrong = Counter(), []
    record = VideoRecord(str(path), (0,), "train.csv:1")
    for seed in seeds:
        name, damaged = fuzzing.mutant(content, kind, seed)
        path.write_bytes(damaged)
        started = time.monotonic()
        try:
            verdict = read(source, record, random.Random(seed))
        except Exception as error:
            verdict = "wrong"
            wrong.append(f"{kind} {seed} ({name}): {type(error).__name__}: {str(error)[:300]}")
        if time.monotonic() - started > SLOWEST_S:
            wrong.append(f"{kind} {seed} ({name}): took {time.monotonic() - started:.0f} s")
        counts[verdict] += 1
    assert not wrong, "\n".join(wrong)
    return counts


def test_sound_files_are_read(sound, source, tmp_path):
    kind, content = sound
    path = tmp_path / kind
    path.write_bytes(content)
    assert read(source, VideoRecord(str(path), (0,), "train.csv:1"), random.Random(0)) == "read"


def test_some_damage(sound, source, tmp_path):
    kind, content = sound
    fuzz(source, kind, content, range(QUICK), tmp_path / kind)


@pytest.mark.slow
def test_much_damage(sound, source, tmp_path, capsys):
    kind, content = sound
    counts = fuzz(source, kind, content, range(QUICK, QUICK + MANY), tmp_path / kind)
    with capsys.disabled():
        print(f"\n{kind}: {sum(counts.values())} mutants, {dict(counts)}", end="")
