"""Reading a packed data set against its loose files, from a cold start: videos a second, random order, one process.

Frame folders as in Something-Something V1: 36 JPEGs of 176 x 100, of which a clip takes 16. Before each cold pass the
pages of all files are dropped from memory (posix_fadvise). The system then still knows the names and places of loose
files, which it does not of a set read for the first time: `--cold` names a shell command instead that makes it forget
all (`echo 3 > /proc/sys/vm/drop_caches` as root, or umount and mount of --folder). Passes alternate.
"""

import argparse
import io
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from slowfast_ext.data.curation.pack import Packing
from slowfast_ext.data.decode.source import VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.storage import store

FRAMES, TAKEN, HEIGHT, WIDTH = 36, 16, 100, 176


def main(argv: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks packs", description=__doc__)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--passes", type=int, default=3, help="over all videos, of each storage")
    parser.add_argument("--folder", help="on the disk to measure; default: a temporary folder")
    parser.add_argument("--cold", help="shell command before each cold pass")
    args = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(dir=args.folder) as folder,
        tempfile.TemporaryDirectory() as own,
    ):
        loose, packed = Path(folder, "loose"), Path(folder, "packed")
        names = write_loose(loose, args.videos)
        started = time.perf_counter()
        pack(loose, packed, names)
        os.sync()  # Only what is on the disk can be dropped from memory.
        print(f"packing: {args.videos / (time.perf_counter() - started):.0f} videos/s")
        ways = {
            (what, root.name): read(root, names, Path(own))
            for what, read in (("files alone", Contents), ("clips", Clips))
            for root in (loose, packed)
        }
        print("| what | storage | start | videos/s, median of passes | CPU ms a video |")
        print("| --- | --- | --- | --- | --- |")
        for start in ("cold", "in memory"):
            passes: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in ways}
            for number in range(args.passes):
                for key, way in ways.items():
                    if start == "cold":
                        forget((loose, packed), args.cold)
                    passes[key].append(timed(way, number))
            for (what, storage), times in passes.items():
                wall, cpu = np.median(times, axis=0) / len(names)
                print(
                    f"| {what} | {storage} | {start} | {1 / wall:.3g} | {1000 * cpu:.2f} |",
                    flush=True,
                )
    return 0


def write_loose(root: Path, videos: int) -> list[str]:
    """Frame folders; all frames differ a little."""
    rng = np.random.default_rng(0)
    pixels = np.asarray(
        Image.fromarray(rng.integers(0, 256, (13, 22, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))
    )
    names = [f"{number:06d}" for number in range(videos)]
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for frame in range(FRAMES):
            buffer = io.BytesIO()
            moved = np.roll(pixels, (number % HEIGHT, 3 * frame), (0, 1))
            Image.fromarray(moved).save(buffer, "JPEG", quality=85)
            (root / name / f"{frame + 1:05d}.jpg").write_bytes(buffer.getvalue())
    return names


def pack(root: Path, out: Path, names: Iterable[str]) -> None:
    """What `slowfast-ext data pack` does, in one process."""
    records = [VideoRecord(str(root / name), (0,), "bench:1", name=name) for name in names]
    with Packing([VideoSet("bench", "train", records)], str(root), str(out), 1 << 30) as packing:
        for progress in packing.run(1):
            assert not progress.failed


def forget(roots: Iterable[Path], command: str | None) -> None:
    """The content of files is read from the disk again; by a command, their names and places as well."""
    store.close()
    if command:
        subprocess.run(command, shell=True, check=True)
        return
    for path in (path for root in roots for path in root.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Contents:
    """The bytes of the frames of a clip."""

    def __init__(self, root: Path, names: Sequence[str], own: Path) -> None:
        self.folders = [str(root / name) for name in names]

    def __len__(self) -> int:
        return len(self.folders)

    def read(self, index: int, first: int) -> None:
        """Read every second image from one on."""
        store.read(
            self.folders[index], [f"{first + 1 + 2 * frame:05d}.jpg" for frame in range(TAKEN)]
        )


class Clips:
    """The frames of a clip, as loaders get them. Lengths are known, as they are from the second epoch on."""

    def __init__(self, root: Path, names: Sequence[str], own: Path) -> None:
        self.source = VideoSource(cache_folders=(str(own / root.name),), root=str(root))
        self.records = [VideoRecord(str(root / name), (0,), "bench:1") for name in names]
        for record in self.records:
            self.source.info(record)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int, first: int) -> None:
        """Decode every second image from one on."""
        record = self.records[index]
        assert self.source.info(record).length == FRAMES
        self.source.frames(record, range(first, first + 2 * TAKEN - 1, 2))


def timed(way: Contents | Clips, seed: int) -> tuple[float, float]:
    """Wall and CPU seconds of a pass over all videos in random order."""
    rng = random.Random(seed)
    wall, cpu = time.perf_counter(), time.process_time()
    for index in rng.sample(range(len(way)), len(way)):
        way.read(index, rng.randrange(FRAMES - 2 * TAKEN + 2))
    return time.perf_counter() - wall, time.process_time() - cpu
