"""Reading a packed data set against its loose files, from a cold start: videos a second, random order, one process.

Frame folders as in Something-Something V1: 36 JPEGs of 176 x 100, of which a clip takes 16. Before each cold pass the
pages of all files are dropped from memory (posix_fadvise). The system then still knows the names and places of loose
files, which it does not of a set read for the first time: `--cold` names a shell command instead that makes it forget
all (`echo 3 > /proc/sys/vm/drop_caches` as root, or umount and mount of --folder). Passes alternate. Beside them the pack
in memory (--memory) and in a bucket of a server on this machine (--bucket), whose connection takes no time: there a cold
start is that of the reader, which opens the pack and fetches its index anew.
"""

import argparse
import io
import logging
import multiprocessing
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
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
    parser.add_argument("--memory", metavar="FOLDER", help="in memory: /dev/shm")
    parser.add_argument("--bucket", action="store_true", help="wants moto[server] and s3fs")
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        folder, own = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place)))
            for place in (args.folder, None)
        )
        os.environ["XDG_CACHE_HOME"] = str(own)  # where the index of a bucket's pack is kept
        loose, packed = folder / "loose", folder / "packed"
        names = write_loose(loose, args.videos)
        started = time.perf_counter()
        pack(loose, packed, names)
        os.sync()  # Only what is on the disk can be dropped from memory.
        print(f"packing: {args.videos / (time.perf_counter() - started):.0f} videos/s")
        storages = {"loose": str(loose), "packed": str(packed)}
        if args.memory:
            copy = stack.enter_context(tempfile.TemporaryDirectory(dir=args.memory))
            storages["packed, in memory"] = shutil.copytree(packed, copy, dirs_exist_ok=True)
        if args.bucket:
            storages["packed, bucket"] = stack.enter_context(in_bucket(packed))
        compare(storages, names, own, args.passes, lambda: forget((loose, packed), own, args.cold))
    return 0


def compare(
    storages: Mapping[str, str],
    names: Sequence[str],
    own: Path,
    passes: int,
    forget_all: Callable[[], None],
) -> None:
    """Print a row a storage and way to read it, from a cold start and after it; passes of all in turns."""
    ways = {
        (what, storage): read(root, names, own / f"cache_{number}")
        for what, read in (("files alone", Contents), ("clips", Clips))
        for number, (storage, root) in enumerate(storages.items())
    }
    print("| what | storage | start | videos/s, median of passes | CPU ms a video |")
    print("| --- | --- | --- | --- | --- |")
    for start in ("cold", "warm"):
        times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in ways}
        for number in range(passes):
            for key, way in ways.items():
                if start == "cold":
                    forget_all()
                times[key].append(timed(way, number))
        for (what, storage), found in times.items():
            wall, cpu = np.median(found, axis=0) / len(names)
            print(
                f"| {what} | {storage} | {start} | {1 / wall:.3g} | {1000 * cpu:.2f} |", flush=True
            )


@contextmanager
def in_bucket(packed: Path) -> Iterator[str]:
    """The address of a copy behind the interface of S3, served by a process of its own: its CPU time is not the reader's."""
    import s3fs

    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there,), daemon=True)
    server.start()
    any_key = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "any")
    os.environ.update(any_key, AWS_ENDPOINT_URL=here.recv(), AWS_DEFAULT_REGION="us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()  # one that is kept asks the server that it was made for
    system = s3fs.S3FileSystem()
    system.mkdir("bench")
    for file in packed.iterdir():
        system.put_file(str(file), f"bench/packed/{file.name}")
    try:
        yield "s3://bench/packed"
    finally:
        server.kill()
        server.join()


def _serve(sender: Connection) -> None:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line a request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    sender.send(f"http://127.0.0.1:{port}")
    sender.recv()


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


def forget(roots: Iterable[Path], own: Path, command: str | None) -> None:
    """The content of files is read from the disk again; by a command, their names and places as well.

    Packs are opened again, and the index of one in a bucket is fetched again to `own`.
    """
    store.close()
    shutil.rmtree(own / "slowfast_ext", ignore_errors=True)
    if command:
        subprocess.run(command, shell=True, check=True)
        return
    for path in (path for root in roots for path in root.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Contents:
    """The bytes of the frames of a clip."""

    def __init__(self, root: str, names: Sequence[str], cache: Path) -> None:
        self.folders = [f"{root}/{name}" for name in names]

    def __len__(self) -> int:
        return len(self.folders)

    def read(self, index: int, first: int) -> None:
        """Read every second image from one on."""
        store.read(
            self.folders[index], [f"{first + 1 + 2 * frame:05d}.jpg" for frame in range(TAKEN)]
        )


class Clips:
    """The frames of a clip, as loaders get them. Lengths are known, as they are from the second epoch on."""

    def __init__(self, root: str, names: Sequence[str], cache: Path) -> None:
        self.source = VideoSource(cache_folders=(str(cache),), root=root)
        self.records = [VideoRecord(f"{root}/{name}", (0,), "bench:1") for name in names]
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
