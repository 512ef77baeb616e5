"""Predictions of a video for people: printed, and drawn on its frames."""

from collections.abc import Sequence

from slowfast_ext.predict.prediction import Prediction, shown
from slowfast_ext.predict.render import Caption
from slowfast_ext.predict.timeline import Timeline, clock
from slowfast_ext.screen import plural

DRAWN = 3
"""Classes on a frame, where there is one head."""


def captions(own: Sequence[Prediction], timeline: Timeline | None) -> list[Caption]:
    """What is drawn on the frames of a video."""
    ends = [end for _, end in timeline.times] if timeline else [float("inf")]
    return [Caption(end, _caption(prediction)) for end, prediction in zip(ends, own, strict=True)]


def _caption(prediction: Prediction) -> tuple[tuple[str, float], ...]:
    if prediction.error:
        return ()
    heads = prediction.classes.heads
    most = DRAWN if len(heads) == 1 else 1
    best = [guess for head in range(len(heads)) for guess in prediction.top(most, head)]
    percent = prediction.percent
    return tuple(
        (f"{g.name}  {shown(g.score, percent)}", g.score if percent else 0.0) for g in best
    )


def in_words(own: list[Prediction], timeline: Timeline | None, top: int, alone: bool) -> list[str]:
    """A video's predictions for people: a block for one, a line for each of many, a table over time."""
    if timeline is not None:
        stretches = [
            f"{clock(s.start):>9} - {clock(s.end):>9}  {shown(s.score, own[0].percent):>7}  {s.label}"
            for s in timeline.segments
        ]
        return [
            f"{own[0].video}: {timeline.seconds:.1f} s, {plural(len(own), 'window')}",
            *stretches,
        ]
    if not alone:
        return [f"{own[0].video}: {'; '.join(own[0].words(top))}"]
    found = [own[0].video]
    for head, name in enumerate(own[0].classes.heads):
        found += [f"  {name}"] if name else []
        for guess in own[0].top(top, head):
            bar = "█" * round(20 * guess.score) if own[0].percent else ""
            found.append(
                f"  {shown(guess.score, own[0].percent):>8}  {bar:20}  {guess.name}".rstrip()
            )
    return found
