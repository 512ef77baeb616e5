"""Where the timelines and rendered copies of videos go."""

import os
from collections.abc import Sequence
from pathlib import Path

from slowfast_ext.errors import ConfigError
from slowfast_ext.predict.kinds import TIMELINES
from slowfast_ext.predict.lists import Listed
from slowfast_ext.predict.render import SUFFIXES


class Targets:
    """Where timelines and rendered copies of videos go. Raises ConfigError where that is not clear."""

    def __init__(self, timeline: Path | None, render: str | None, listed: Sequence[Listed]) -> None:
        self._timeline, self._render, self._one = timeline, render, len(listed) == 1
        stems = [os.path.splitext(own.below)[0] for own in listed]
        self._names = {
            own.record.path: stem if stems.count(stem) == 1 else own.below
            for own, stem in zip(listed, stems, strict=True)
        }
        if len(set(self._names.values())) < len(listed) and (timeline or render):
            raise ConfigError(
                "several videos have the same name; name the folder that holds them all"
            )
        if not render:
            return
        if self._one and not render.lower().endswith(SUFFIXES):
            raise ConfigError(f"--render {render}: name a file, one of {', '.join(SUFFIXES)}")
        if not self._one and render.lower().endswith(SUFFIXES):
            raise ConfigError(f"--render {render}: {len(listed)} videos need a folder")
        for own in listed:
            if os.path.abspath(self.rendered(own.record.path) or "") == os.path.abspath(
                own.record.path
            ):
                raise ConfigError(f"--render would replace {own.record.path} itself")

    def timelines(self, video: str) -> list[Path]:
        """Files of a video's timeline."""
        if self._timeline is None:
            return []
        return [self._timeline / f"{self._names[video]}.{kind}" for kind in TIMELINES]

    def rendered(self, video: str) -> str | None:
        """The rendered copy of a video."""
        if not self._render or self._one:
            return self._render
        return os.path.join(self._render, f"{self._names[video]}.mp4")

    def missing(self, video: str) -> bool:
        """Whether a file is asked for that is not there."""
        rendered = self.rendered(video)
        files = [*map(str, self.timelines(video)), *([rendered] if rendered else [])]
        return not all(map(os.path.exists, files))
