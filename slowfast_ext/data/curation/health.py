"""Is every video that a list names there, readable and as long as it claims?

Each is opened and decoded to its last frame by the reader of training, which outlives files that hang or
crash their decoder. Verdicts are saved by path, size and time of change, so a second run looks only at what is new.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import partial
from typing import Protocol

from slowfast_ext.data.annotations.media import some
from slowfast_ext.data.curation.parallel import run_jobs
from slowfast_ext.data.reading import Source, recounted
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.storage import store
from slowfast_ext.errors import DataError
from slowfast_ext.safe_text import visible, write_rows

OK, SHORT, MISSING, UNREADABLE, EMPTY = "ok", "short", "missing", "unreadable", "empty"
VERDICTS = (OK, SHORT, MISSING, UNREADABLE, EMPTY)
USABLE = (OK, SHORT)
"""A short video has fewer frames than it claims; those it has decode, and a reader knows how many."""

CHUNK = 64
SMALL = 64


@dataclass(frozen=True)
class Verdict:
    """What was found of a record: frames that are there, rate [frames/s], size of a frame [px], bytes."""

    verdict: str
    detail: str = ""
    num_frames: int = 0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    num_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Duration, 0 where unknown."""
        return self.num_frames / self.fps if self.fps else 0.0


Found = tuple[VideoRecord, Verdict]


class CheckedSource(Source, Protocol):
    """A source that also tells what files claim."""

    def claimed_frames(self, record: VideoRecord) -> int:
        """Frames that the record's file claims to have. Raises DataError."""
        ...


def inspect(record: VideoRecord, source: CheckedSource, every_frame: bool = True) -> Verdict:
    """Open a video and decode all of its frames, or the first alone. Never raises DataError."""
    if not store.exists(record.path):
        return Verdict(MISSING, "no such file")
    num_bytes = store.facts(record.path).size if store.is_file(record.path) else 0
    try:
        promised = source.info(record).length
        if promised < 1:
            return Verdict(EMPTY, "no frames", num_bytes=num_bytes)
        found = recounted(partial(_decoded, source=source, every_frame=every_frame), record)
        claimed = max(_claimed_frames(record, source), promised)
    except DataError as error:
        reason = str(error).removeprefix(f"{record.shown}: ")
        return Verdict(UNREADABLE, reason, num_bytes=num_bytes)
    if claimed <= found.num_frames:
        return replace(found, num_bytes=num_bytes)
    detail = f"{found.num_frames} of {claimed} frames that it claims"
    return replace(found, verdict=SHORT, detail=detail, num_bytes=num_bytes)


def _decoded(record: VideoRecord, source: Source, every_frame: bool) -> Verdict:
    """What decoding shows. Raises DataError; LengthChangedError where the reader had to count anew."""
    info = source.info(record)
    height, width = source.frames(record, [0]).shape[1:3]
    for start in range(0, info.length if every_frame else 0, CHUNK):
        source.frames(record, range(start, min(start + CHUNK, info.length)), SMALL)
    return Verdict(OK, "", info.length, info.fps, width, height)


def _claimed_frames(record: VideoRecord, source: CheckedSource) -> int:
    """Frames by the list or the file; 0 where a piece is cut out."""
    cut = (record.start, record.end, record.start_frame, record.end_frame)
    if record.num_frames is not None or any(bound is not None for bound in cut):
        return record.num_frames or 0
    return source.claimed_frames(record)


def inspect_all(
    records: Sequence[VideoRecord],
    make_source: Callable[[], CheckedSource],
    cache: str,
    workers: int,
    every_frame: bool = True,
) -> Iterator[Found]:
    """(record, verdict) for all records, in any order; verdicts are saved in the file `cache`.

    `make_source` is called once in each of `workers` threads.
    """
    known = _read_cache(cache)
    keys = [_key(record, every_frame) for record in records]
    yield from ((r, known[key]) for r, key in zip(records, keys, strict=True) if key in known)
    todo = [r for r, key in zip(records, keys, strict=True) if key not in known]
    os.makedirs(os.path.dirname(cache), exist_ok=True)

    def make_work() -> Callable[[VideoRecord], Verdict]:
        return partial(inspect, source=make_source(), every_frame=every_frame)

    with open(cache, "a", encoding="utf-8") as file:
        for record, verdict in run_jobs(make_work, todo, workers):
            if verdict.verdict != MISSING:
                entry = {"key": _key(record, every_frame), **asdict(verdict)}
                file.write("\n" + json.dumps(entry))
                file.flush()
            yield record, verdict


def _key(record: VideoRecord, every_frame: bool) -> str:
    """What a verdict holds for: the file as it is now, the piece of it, the claim, how well it was looked at."""
    try:
        size, stamp = store.facts(record.path)
    except OSError:
        return ""
    cut = (record.start, record.end, record.start_frame, record.end_frame, record.num_frames)
    return repr((record.path, size, stamp, cut, every_frame))


def _read_cache(path: str) -> dict[str, Verdict]:
    """Verdicts by key; a line that was cut off by an interruption, or damaged, is left out."""
    known: dict[str, Verdict] = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                entry = _entry(line)
                if entry is not None:
                    known[entry[0]] = entry[1]
    return known


def _entry(line: str) -> tuple[str, Verdict] | None:
    try:
        entry = json.loads(line)
        facts = [entry[field.name] for field in fields(Verdict)]
        if [type(fact) for fact in facts] != [type(fact) for fact in astuple(Verdict(OK))]:
            return None
        if entry["verdict"] in VERDICTS and isinstance(entry["key"], str):
            return entry["key"], Verdict(*facts)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def usable_records(found: Iterable[Found]) -> list[VideoRecord]:
    """Records that can be trained on; frame folders with the count that is there."""
    return [
        record if record.num_frames is None else replace(record, num_frames=verdict.num_frames)
        for record, verdict in found
        if verdict.verdict in USABLE
    ]


def write_report(found: Sequence[Found], path: str) -> None:
    """A tab-separated row a video, the ones with a fault first."""
    columns = [field.name for field in fields(Verdict)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows: list[list[object]] = [["path", "location", *columns]]
        for record, verdict in sorted(
            found, key=lambda pair: (pair[1].verdict == OK, pair[0].path)
        ):
            row = [" ".join(str(getattr(verdict, column)).split()) for column in columns]
            rows.append([record.path, record.location, *row])
        write_rows(file, rows, delimiter="\t")


def summary(video_set: VideoSet, found: Sequence[Found]) -> list[str]:
    """Counts of each verdict, with some of the videos that have a fault."""
    counts = Counter(verdict.verdict for _, verdict in found)
    lines = [f"{video_set.split}: {counts[OK]} of {len(found)} videos are sound"]
    for kind in (SHORT, MISSING, UNREADABLE, EMPTY):
        if counts[kind]:
            paths = sorted(f"{visible(r.path)} ({v.detail})" for r, v in found if v.verdict == kind)
            lines.append(f"  {kind}: {counts[kind]}: {some(paths)}")
    return lines
