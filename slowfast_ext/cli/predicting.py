"""What `slowfast-ext predict` does once its command line is understood."""

import argparse
from typing import Any

from slowfast_ext.cli import EXIT_INTERRUPTED
from slowfast_ext.cli.videos import (
    end_of,
    recognizer_of,
    report,
    settings_of,
    workers_for,
    working,
)
from slowfast_ext.data.decode.watchdog import Watchdog
from slowfast_ext.errors import DataError, Interrupted
from slowfast_ext.predict.lines import Lines, check_suffix
from slowfast_ext.predict.lists import Listed, videos_of
from slowfast_ext.predict.looks import span_seconds
from slowfast_ext.predict.prediction import Prediction
from slowfast_ext.predict.render import render
from slowfast_ext.predict.targets import Targets
from slowfast_ext.predict.timeline import Timeline
from slowfast_ext.predict.windows import Window, by_seconds
from slowfast_ext.predict.words import captions, in_words
from slowfast_ext.screen import plural

LONGEST_RENDERING = 24 * 3600.0


def run(args: argparse.Namespace) -> int:
    """Predict, print, write and draw as the arguments say; the exit code."""
    listed = videos_of(args.videos)
    targets = Targets(args.timeline, args.render, listed)
    settings = {}
    if args.out:
        check_suffix(args.out)
        settings = settings_of(args, top=args.top, window=args.window, stride=args.stride)
    workers = workers_for(args.workers, len(listed))
    recognizer = recognizer_of(args)
    lines = None
    if args.out:
        lines = Lines(
            args.out, recognizer.classes, args.top, bool(args.window), settings, args.retry
        )
    run = _Run(args, listed, targets, lines)
    if args.window:
        _note_short_windows(args.window, recognizer)
    plan = by_seconds(args.window, args.stride or args.window / 2) if args.window else None
    try:
        with working(recognizer, len(listed), workers, "predicting") as (inputs, done):
            found = recognizer.predict_records(
                [own.record for own in run.todo],
                inputs,
                plan,
                wanted=run.wants,
                views=args.views or ("1x1" if args.window else ""),
                workers=workers,
            )
            for prediction in found:
                run.take(prediction)
                done(run.position)
            run.finish()
    except (KeyboardInterrupt, Interrupted):
        goes_on = (
            f"{args.out} has {plural(len(lines.videos), 'video')}; the same command goes on"
            if lines
            else ""
        )
        report(
            f"interrupted after {run.count} of {plural(len(listed), 'video')}{'; ' + goes_on if goes_on else ''}"
        )
        return EXIT_INTERRUPTED
    finally:
        if lines:
            lines.close()
    return run.summary()


def _note_short_windows(window: float, recognizer: Any) -> None:
    rate = recognizer.sampling.target_fps or 25.0
    needed = span_seconds(rate, recognizer.sampling)
    if needed > window + 1 / rate:
        report(
            f"note: a clip of this model covers {needed:.2f} s at {rate:g} frames/s, a window {window:g} s: the last "
            "frame fills the rest; it was trained on longer clips"
        )


class _Run:
    """Takes predictions as they come: writes and prints them, and what is made of a whole video."""

    def __init__(
        self, args: argparse.Namespace, listed: list[Listed], targets: Targets, lines: Lines | None
    ) -> None:
        self._args, self._listed, self._targets, self._lines = args, listed, targets, lines
        self._number = {own.record.name: number for number, own in enumerate(listed)}
        self._watchdog = Watchdog(LONGEST_RENDERING)
        self._not_drawn: set[str] = set()
        self._current: list[Prediction] = []
        self.earlier = lines.videos if lines else set()
        self._failed = set(lines.failed) if lines else set()
        # Windows of a video may be there in part: its own plan tells which.
        self.todo = [
            own
            for own in listed
            if self._unfinished(own) or (args.window and own.record.name not in self._failed)
        ]
        self.count = 0
        self.position = 0.0

    def wants(self, record: Any, window: Window) -> bool:
        """Whether a window is still to be computed."""
        if self._lines is None or self._targets.missing(record.path):
            return True
        return (record.name, f"{window.start:.3f}") not in self._lines.done

    def take(self, prediction: Prediction) -> None:
        """The next prediction."""
        if self._current and self._current[0].video != prediction.video:
            self.finish()
        self._current.append(prediction)
        if self._lines:
            self._lines.write(prediction)
        self.position = float(self._number[prediction.video])

    def finish(self) -> None:
        """What follows once a video's last prediction is there."""
        own, self._current = self._current, []
        if not own:
            return
        self.count += 1
        video = own[0].video
        self.position = self._number[video] + 1.0
        errors = [prediction for prediction in own if prediction.error]
        if errors:
            self._failed.add(video)
            report(f"{video}: not read: {errors[0].error}")
        if len(errors) == len(own):
            return
        timeline = Timeline(own, own[-1].window[1]) if own[-1].window else None
        if not self._lines:
            print(
                "\n".join(in_words(own, timeline, self._args.top, len(self._listed) == 1)),
                flush=True,
            )
        if timeline:
            for path in self._targets.timelines(video):
                timeline.save(path)
                report(f"written: {path}")
        self._draw(video, own, timeline)

    def _draw(self, video: str, own: list[Prediction], timeline: Timeline | None) -> None:
        target = self._targets.rendered(video)
        if not target:
            return
        try:
            note = self._watchdog.call(render, video, target, captions(own, timeline))
            report(f"written: {target}{'; ' + note if note else ''}")
        except DataError as error:
            self._not_drawn.add(video)
            report(f"{target}: not written: {error}")

    def summary(self) -> int:
        """The last line, and the exit code."""
        listed = {own.record.name for own in self._listed}
        failed = self._failed & listed
        if self._lines:
            before = len(self.earlier & listed)
            known = f", {before} were there" if before else ""
            bad = (
                f"; {len(failed)} could not be read, see their lines (--retry: again)"
                if failed
                else ""
            )
            report(f"{self._args.out}: {plural(len(listed), 'video')}{known}{bad}")
        return end_of(len(listed) - len(failed), len(failed | self._not_drawn))

    def _unfinished(self, own: Listed) -> bool:
        return own.record.name not in self.earlier or (
            own.record.name not in self._failed and self._targets.missing(own.record.path)
        )
