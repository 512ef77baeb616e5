"""What went wrong in reading training samples: counted, listed once a file, a reason to stop when much."""

import io
import logging
from collections import Counter
from pathlib import Path

from slowfast_ext.data.loader import BadSample, Batch
from slowfast_ext.engine.distributed import World, gather_objects
from slowfast_ext.errors import DataError
from slowfast_ext.files import append_text
from slowfast_ext.safe_text import write_rows

logger = logging.getLogger(__name__)

FILE = "bad_videos.csv"
_ENOUGH_READS = 100


class ReadErrors:
    """The unreadable files of an epoch, and those reported before."""

    def __init__(self, world: World, output_dir: str | Path, max_share: float) -> None:
        self._world, self._path, self._max_share = world, Path(output_dir) / FILE, max_share
        self._new: dict[str, BadSample] = {}
        self._reported: set[str] = set()
        self._counts: Counter[str] = Counter()

    def add(self, batch: Batch) -> None:
        """Note the samples of a batch that were replaced, and what its readers counted."""
        self._counts += batch.counts
        for sample in batch.bad:
            if sample.path not in self._reported:
                self._new.setdefault(sample.path, sample)

    def check(self, bad: float, good: float, whole_epoch: bool = False) -> None:
        """Raise DataError when more than DATA.MAX_BAD_SHARE of all reads failed (all processes take part).

        Within an epoch a share is told from chance only after some reads; at its end it is what it is.
        """
        reads = bad + good
        if bad <= self._max_share * reads or (reads < _ENOUGH_READS and not whole_epoch):
            return
        self._list_files()
        raise DataError(
            f"{bad:.0f} of {reads:.0f} reads of training samples failed, more than DATA.MAX_BAD_SHARE = "
            f"{self._max_share:g}; the files are listed in {self._path}. Run slowfast-ext data check, or raise the share"
        )

    def report(self) -> Counter[str]:
        """List the files that are new since the last report, once each (all processes take part).

        Returns what the readers of all processes counted since then.
        """
        counts = sum(gather_objects(self._world, self._counts), Counter())
        for what, times in counts.items() if self._world.is_main else ():
            logger.warning("reading: %s, %d times", what, times)
        self._counts = Counter()
        self._list_files()
        return counts

    def _list_files(self) -> None:
        found = {
            path: sample
            for part in gather_objects(self._world, self._new)
            for path, sample in part.items()
        }
        self._reported |= set(found)
        self._new = {}
        if not found or not self._world.is_main:
            return
        logger.warning("%d training files could not be read, see %s", len(found), self._path)
        text = io.StringIO(newline="")
        if not self._path.exists():
            write_rows(text, [("path", "listed at", "reason")])
        write_rows(
            text,
            ((s.path, s.location, s.reason.removeprefix(f"{s.path}: ")) for s in found.values()),
        )
        append_text(self._path, text.getvalue())
