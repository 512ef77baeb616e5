"""A data set into a pack: tar shards with an index, see data/storage.

Files are packed as they are, to the byte. Shards follow the hash of the paths, so that each is a random part of
its split, and what is whole in the index is not packed again: an interrupted run goes on.
"""

import errno
import hashlib
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from slowfast_ext.data.annotations.manifest import write_manifest
from slowfast_ext.data.curation.parallel import run_jobs
from slowfast_ext.data.records import SPLITS, VideoRecord, VideoSet
from slowfast_ext.data.storage.writing import IndexWriter, Sample, Written, key_of, write_shard
from slowfast_ext.errors import DataError

UNFINISHED = re.compile(rf"({'|'.join(SPLITS)})-\d{{6,}}\.tar|\..*\.tar\.part")
NOT_IN_CLIPS = ("path", "location", "name", "labels")


@dataclass(frozen=True)
class Progress:
    """A shard more: samples in the pack by it, and those that could not be read."""

    samples: int
    failed: Sequence[str]


@dataclass(frozen=True)
class _Job:
    number: int
    name: str
    samples: Sequence[Sample]


class Packing:
    """The job of packing some splits below `root` into the folder `out`; `with` it, then `run`.

    Attributes:
        samples: files and folders of images of all splits.
        done: of them, those that were in the pack before.
    """

    def __init__(self, sets: Sequence[VideoSet], root: str, out: str, shard_bytes: int) -> None:
        self.sets, self.root, self.out = sets, os.path.abspath(root), out
        try:
            os.makedirs(out, exist_ok=True)
            self._index = IndexWriter(out, self.root)
        except (OSError, sqlite3.Error) as error:
            raise DataError(f"{out}: cannot be written to: {error}") from error
        by_split = samples_of(sets, self.root)
        packed = self._index.packed()
        self.samples = sum(map(len, by_split.values()))
        todo = {s: [x for x in own if x.path not in packed] for s, own in by_split.items()}
        self.done = self.samples - sum(map(len, todo.values()))
        self._jobs = list(_jobs(todo, self._index.next_shard(), shard_bytes))

    def run(self, workers: int) -> Iterator[Progress]:
        """Pack what is not yet in the pack, then write its lists. Raises DataError where `out` cannot be written."""
        done = self.done
        try:
            self._remove_unfinished()
            for job, written in run_jobs(partial(_worker, self.out), self._jobs, workers):
                self._index.add(job.number, written)
                done += len(written.samples) - len(written.failed)
                yield Progress(done, written.failed)
            for video_set in self.sets:
                write_manifest(video_set, video_set.records, self.out, self.root)
        except (OSError, sqlite3.Error) as error:
            full = isinstance(error, sqlite3.Error) or error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "free some space" if full else "mend that"
            raise DataError(
                f"{self.out}: cannot be written to: {error}; {done} of {self.samples} are packed;"
                f" {remedy} and give the same command again; it goes on there"
            ) from error

    def _remove_unfinished(self) -> None:
        """What a run that was killed has left: shards that are not whole, or not in the index."""
        known = self._index.shards()
        for file in Path(self.out).iterdir():
            if UNFINISHED.fullmatch(file.name) and file.name not in known:
                file.unlink()

    def __len__(self) -> int:
        """Shards still to be written."""
        return len(self._jobs)

    def __enter__(self) -> "Packing":
        return self

    def __exit__(self, *_: object) -> None:
        self._index.close()


def _worker(out: str) -> Callable[[_Job], Written]:
    return lambda job: write_shard(out, job.name, job.samples)


def samples_of(sets: Sequence[VideoSet], root: str) -> dict[str, list[Sample]]:
    """The files and folders of each split, each once, in the order of their hashes.

    Raises DataError for one that is not below `root`.
    """
    places: dict[str, tuple[str, list[dict]]] = {}
    for video_set in sets:
        for record in video_set:
            _, clips = places.setdefault(record.path, (video_set.split, []))
            clips.append({"split": video_set.split, **_facts(record)})
    inside = {source: _below(source, root) for source in places}
    stems = {
        source: path if os.path.isdir(source) else os.path.splitext(path)[0]
        for source, path in inside.items()
    }
    shared = Counter(stems.values())
    found: dict[str, list[Sample]] = {video_set.split: [] for video_set in sets}
    for source, (split, clips) in places.items():
        path = inside[source]
        # a.mp4 and a.webm would be one sample.
        key = key_of(stems[source] if shared[stems[source]] == 1 else path)
        found[split].append(Sample(source, path, key, clips))
    for samples in found.values():
        samples.sort(key=lambda sample: hashlib.sha1(os.fsencode(sample.path)).digest())
    return found


def _facts(record: VideoRecord) -> dict[str, object]:
    own = {f.name: getattr(record, f.name) for f in fields(record) if f.name not in NOT_IN_CLIPS}
    known = {name: value for name, value in own.items() if value is not None}
    return {"labels": list(record.labels), **known}


def _below(path: str, root: str) -> str:
    inside = os.path.relpath(path, root)
    if inside.startswith(os.pardir):
        raise DataError(
            f"{path} is not below {root}, so it has no path in the pack; set DATA.PATH_PREFIX"
        )
    return inside


def _jobs(by_split: dict[str, list[Sample]], number: int, shard_bytes: int) -> Iterator[_Job]:
    """Samples of a split in shards of about a size; one that is larger has a shard of its own."""
    for split, samples in by_split.items():
        shard: list[Sample] = []
        size = 0
        for sample in samples:
            own = _size(sample.source)
            if shard and size + own > shard_bytes:
                yield _Job(number, f"{split}-{number:06d}.tar", shard)
                number, shard, size = number + 1, [], 0
            shard.append(sample)
            size += own
        if shard:
            yield _Job(number, f"{split}-{number:06d}.tar", shard)
            number += 1


def _size(path: str) -> int:
    """Bytes of a file, or of the files in a folder."""
    try:
        if not os.path.isdir(path):
            return os.path.getsize(path)
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0
