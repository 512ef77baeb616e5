"""What did not go the plain way in reading videos, counted and carried out of the loader's processes."""

from collections import Counter
from typing import Protocol

from slowfast_ext.data.decode.source import ClipInfo
from slowfast_ext.data.sampling import SamplingOptions, clip_span

SHORT_VIDEO = "videos shorter than a clip, last frame repeated"
IDENTICAL_VIEWS = "videos with fewer distinct views than are averaged (TEST.NUM_ENSEMBLE_VIEWS, TEST.NUM_SPATIAL_CROPS)"


class Counted(Protocol):
    """Has `counts` that only grow."""

    @property
    def counts(self) -> Counter[str]:
        """What happened -> how often."""
        ...


class News:
    """What was counted since the last item, by the source or here: items carry it out of the loader's processes."""

    def __init__(self, source: Counted) -> None:
        self._source = source
        self._own: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def note_length(self, info: ClipInfo, options: SamplingOptions) -> None:
        """Count a video that is shorter than a clip."""
        if info.length < clip_span(info.fps, options):
            self._own[SHORT_VIDEO] += 1

    def note_views(self, distinct: int, views: int) -> None:
        """Count a video some of whose views are the same."""
        if distinct < views:
            self._own[IDENTICAL_VIEWS] += 1

    def take(self) -> Counter[str]:
        """Counts that are new since the last call."""
        now = Counter(self._source.counts) + self._own
        news, self._told = now - self._told, now
        return news
