"""A long video's predictions over time: stretches of one label, as csv, subtitles and a picture."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from matplotlib import colormaps
from matplotlib.figure import Figure

from slowfast_ext.files import write_atomically
from slowfast_ext.predict.prediction import Prediction, shown

MOST_CURVES = 8


class Segment(NamedTuple):
    """A stretch of a video with one label; `score` is the mean of its windows'. Times in seconds."""

    start: float
    end: float
    label: str
    score: float


@dataclass(frozen=True)
class Timeline:
    """Predictions of the windows of one video, in order, and its length in seconds."""

    windows: Sequence[Prediction]
    seconds: float

    @property
    def centres(self) -> list[float]:
        """The middle of each window."""
        spans = [window.window or (0.0, self.seconds) for window in self.windows]
        return [(start + end) / 2 for start, end in spans]

    @property
    def times(self) -> list[tuple[float, float]]:
        """The stretch that each window speaks for: up to half way to the centres of its neighbours."""
        edges = [0.0, *((a + b) / 2 for a, b in pairwise(self.centres)), self.seconds]
        return list(pairwise(edges))

    @property
    def segments(self) -> list[Segment]:
        """Neighbouring windows of the same label as one; windows that could not be read have none."""
        pairs = [(window, span) for window, span in zip(self.windows, self.times, strict=True)]
        found = []
        for label, group in groupby(pairs, lambda pair: pair[0].error or pair[0].label):
            own = list(group)
            if own[0][0].error or not label:
                continue
            score = sum(window.score for window, _ in own) / len(own)
            found.append(Segment(own[0][1][0], own[-1][1][1], label, score))
        return found

    def at(self, seconds: float) -> Prediction:
        """The prediction that speaks for a moment."""
        for window, (_, end) in zip(self.windows, self.times, strict=True):
            if seconds < end:
                return window
        return self.windows[-1]

    def save(self, path: str | Path) -> None:
        """Write the timeline as its suffix says: .csv, .srt, or a picture (.png, .svg, .pdf).

        Raises CheckpointError where it cannot be written.
        """
        path = Path(path)
        kind = path.suffix.lower().lstrip(".")
        if kind == "csv":
            write_atomically(path, self._write_csv)
        elif kind == "srt":
            text = "\n".join(self._subtitles())
            write_atomically(path, lambda target: target.write_text(text, encoding="utf-8"))
        else:
            figure = self.picture()
            write_atomically(path, lambda target: figure.savefig(target, format=kind, dpi=120))

    def _write_csv(self, target: Path) -> None:
        with target.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(Segment._fields)
            rows.writerows(
                (f"{s.start:.3f}", f"{s.end:.3f}", s.label, f"{s.score:.6f}") for s in self.segments
            )

    def _subtitles(self) -> Iterator[str]:
        for number, segment in enumerate(self.segments, 1):
            yield f"{number}\n{_srt_time(segment.start)} --> {_srt_time(segment.end)}"
            yield f"{segment.label} ({shown(segment.score, self._percent)})\n"

    @property
    def _percent(self) -> bool:
        return any(window.percent for window in self.windows)

    def picture(self) -> Figure:
        """Labels as a coloured band over the scores of the classes that lead somewhere."""
        curves = self._curves()
        colours = dict(zip(curves, colormaps["tab10"].colors, strict=False))  # type: ignore[attr-defined]
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        band, plot = figure.subplots(2, 1, sharex=True, height_ratios=(1, 4))
        for segment in self.segments:
            colour = colours.get(segment.label, "0.7")
            band.axvspan(segment.start, segment.end, color=colour)
            if segment.end - segment.start > self.seconds / 12:
                middle = (segment.start + segment.end) / 2
                band.text(middle, 0.5, segment.label, ha="center", va="center", clip_on=True)
        band.set_yticks([])
        band.set_title(Path(self.windows[0].video).name)
        for name, values in curves.items():
            plot.plot(self.centres, values, color=colours.get(name, "0.7"), label=name, marker=".")
        plot.set_xlabel("seconds")
        plot.set_ylabel("probability" if self._percent else "score")
        if self._percent:
            plot.set_ylim(0, 1.02)
        plot.set_xlim(0, self.seconds)
        plot.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        return figure

    def _curves(self) -> dict[str, list[float]]:
        """Scores over time of the classes of the first head that are the best most often."""
        read = [window for window in self.windows if not window.error]
        best = [window.top(1)[0].label for window in read]
        often = sorted(set(best), key=lambda label: -best.count(label))[:MOST_CURVES]
        values = [
            window.top(len(window.names)) if not window.error else [] for window in self.windows
        ]
        by_label = [{guess.label: guess.score for guess in guesses} for guesses in values]
        return {
            self.windows[0].names[label]: [own.get(label, float("nan")) for own in by_label]
            for label in often
        }


def clock(seconds: float) -> str:
    """1:02:03.4"""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest / 10:04.1f}"


def _srt_time(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"
