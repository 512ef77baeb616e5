"""The set on disk: rendered on first use, by all cores, once for all ranks, resumed after an interruption.

<root>/motionshapes-<settings>/manifest.json and {train,val}/<class>/<index>.mp4
"""

import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from iopath.common.file_io import file_lock
from rich.progress import track

from slowfast_ext.data.motion.clip import render_clip
from slowfast_ext.data.motion.motions import CLASS_NAMES
from slowfast_ext.data.motion.settings import FPS, MotionSettings
from slowfast_ext.data.motion.video import write_video
from slowfast_ext.errors import DataError

CLIPS_PER_TASK = 16
CLIPS_WORTH_A_PROCESS = 96
_RENDERING = "SLOWFAST_EXT_RENDERING"  # in the environment of processes that render
_NO_MAIN_GUARD = (
    "a process that renders MotionShapes ended; in a script of your own, put what it does below"
    " `if __name__ == '__main__':`, since these processes import it"
)


@dataclass(frozen=True)
class Clip:
    """One file of a set; `index` counts within the split, classes take turns."""

    folder: str
    split: str
    index: int

    @property
    def label(self) -> int:
        """Class of the clip."""
        return self.index % len(CLASS_NAMES)

    @property
    def path(self) -> Path:
        """Where the file lies."""
        name = CLASS_NAMES[self.label].replace(" ", "_")
        return Path(self.folder, self.split, name, f"{self.index:06d}.mp4")


def ensure_rendered(
    root: str | Path, settings: MotionSettings, split: str, count: int
) -> list[Clip]:
    """The first `count` clips of "train" or "val" below `root`; those that are missing are rendered.

    Safe to call from several processes at once: one renders, the others wait. Raises DataError where the
    folder holds a set of other settings or cannot be written, or where a script without a main guard is imported by the
    processes that render for it.
    """
    if os.environ.get(_RENDERING) == str(os.getppid()):
        raise DataError(_NO_MAIN_GUARD)  # it would wait for the lock that its parent holds
    folder = Path(root, settings.folder)
    clips = [Clip(str(folder), split, index) for index in range(count)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _manifest_is(folder, settings) and not _missing(clips):
            return clips
        with file_lock(str(folder / split)):
            _claim(folder, settings)
            _render(_missing(clips), settings)
    except OSError as error:
        raise DataError(
            f"{folder}: MotionShapes cannot be rendered there: {error.strerror or error};"
            " set DATA.PATH_TO_DATA_DIR to a folder that can be written"
        ) from error
    return clips


def _manifest_is(folder: Path, settings: MotionSettings) -> bool:
    """Whether the folder is known to hold these settings. Raises DataError for others."""
    path = folder / "manifest.json"
    if not path.is_file():
        return False
    if path.read_text(encoding="utf-8") != _manifest(settings):
        raise DataError(
            f"{path}: the clips there were rendered with other settings or by another version;"
            " move the folder away to render anew"
        )
    return True


def _claim(folder: Path, settings: MotionSettings) -> None:
    """Write the manifest into an empty folder, or check the one that is there."""
    if _manifest_is(folder, settings):
        return
    if any(folder.rglob("*.mp4")):
        raise DataError(f"{folder}: holds clips but no manifest.json; move the folder away")
    partial = folder / f".manifest.{os.getpid()}.part"
    partial.write_text(_manifest(settings), encoding="utf-8")
    partial.replace(folder / "manifest.json")


def _manifest(settings: MotionSettings) -> str:
    return json.dumps(settings.manifest(), indent=2) + "\n"


def _missing(clips: Iterable[Clip]) -> list[Clip]:
    """Clips without a file, from one listing a folder."""
    listed: dict[Path, frozenset[str]] = {}
    missing = []
    for clip in clips:
        parent = clip.path.parent
        if parent not in listed:
            listed[parent] = frozenset(os.listdir(parent)) if parent.is_dir() else frozenset()
        if clip.path.name not in listed[parent]:
            missing.append(clip)
    return missing


def _render(clips: list[Clip], settings: MotionSettings) -> None:
    for parent in {clip.path.parent for clip in clips}:
        parent.mkdir(parents=True, exist_ok=True)
    tasks = [clips[i : i + CLIPS_PER_TASK] for i in range(0, len(clips), CLIPS_PER_TASK)]
    done = _run_tasks(tasks, len(clips), settings)
    if tasks:
        label = f"Rendering MotionShapes {settings.level} {clips[0].split}"
        for _ in track(done, label, total=len(tasks)):
            pass


def _run_tasks(tasks: list[list[Clip]], num_clips: int, settings: MotionSettings) -> Iterator[int]:
    """Render task by task, in as many processes as the machine and the number of clips justify."""
    workers = min(_cores(), num_clips // CLIPS_WORTH_A_PROCESS)
    if workers < 2:
        yield from (_render_task(task, settings) for task in tasks)
        return
    # spawn: a forked child could inherit a lock that a thread of this process holds
    context = multiprocessing.get_context("spawn")
    os.environ[_RENDERING] = str(os.getpid())
    try:
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield from pool.map(_render_task, tasks, [settings] * len(tasks))
    except BrokenProcessPool as error:
        raise DataError(_NO_MAIN_GUARD) from error
    finally:
        del os.environ[_RENDERING]


def _render_task(clips: list[Clip], settings: MotionSettings) -> int:
    for clip in clips:
        frames = render_clip(clip.index, clip.split, clip.label, settings)
        write_video(clip.path, frames, FPS, settings.facts.crf)
    return len(clips)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
