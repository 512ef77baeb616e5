"""What a logger is, and the ones of a run, of which none can end it."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from slowfast_ext.config import Problem, options_of
from slowfast_ext.config.explain import changed_keys
from slowfast_ext.registry import Registry

logger = logging.getLogger(__name__)

LOGGERS = Registry("LOGGERS")


class Logger:
    """Sends the numbers of a run somewhere.

    A new one is one file: a subclass with `@LOGGERS.register("name", NameOptions)` above it, where the options have an
    `enable`. It is constructed with them, with OUTPUT_DIR and with the settings of the run that are not the default's.
    """

    OF_A_RUN: Sequence[str] = ()
    """Its files and folders in OUTPUT_DIR that belong to one run: set aside where another begins there."""

    def scalars(self, kind: str, numbers: Mapping[str, float], step: int) -> None:
        """Numbers of one moment; `kind` is the `_type` of the line in stats.jsonl."""

    def picture(self, name: str, figure: Any) -> None:
        """A matplotlib figure, at the end."""

    def finish(self, metrics: Mapping[str, float]) -> None:
        """What the settings have led to."""

    def close(self) -> None:
        """Flush and close."""

    @classmethod
    def missing(cls) -> str:
        """How to install what it needs; empty where it is there."""
        return ""


class Loggers:
    """All loggers of a run. One that fails is named in a warning, once, and left out from then on."""

    def __init__(self, makers: Mapping[str, Callable[[], Logger]] | None = None) -> None:
        """`makers`: name -> how to make it; they are made by `open`, or for the first number."""
        self._makers = dict(makers or {})
        self._loggers: dict[str, Logger] = {}

    def open(self) -> None:
        """Make them; their files are opened only now, when those of an earlier run are set aside."""
        makers, self._makers = self._makers, {}
        for name, make in makers.items():
            self._try(name, partial(self._add, name, make))

    def _add(self, name: str, make: Callable[[], Logger]) -> None:
        self._loggers[name] = make()

    def scalars(self, kind: str, numbers: Mapping[str, float], step: int) -> None:
        """See Logger."""
        self._each(lambda logger: logger.scalars(kind, numbers, step))

    def tables(self, tables: Iterable[tuple[str, Iterable[Sequence[object]]]]) -> None:
        """File name and rows of the tables of a test: confusion matrices become pictures."""
        self.open()
        if not self._loggers:
            return
        from slowfast_ext.loggers.picture import confusion_picture  # matplotlib, when it is needed

        for name, rows in tables:
            if name.endswith("confusion.csv"):
                picture = name.removesuffix(".csv"), confusion_picture(rows)
                for own_name, own in list(self._loggers.items()):
                    self._try(own_name, partial(own.picture, *picture))

    def finish(self, metrics: Mapping[str, float]) -> None:
        """See Logger."""
        self._each(lambda logger: logger.finish(metrics))

    def close(self) -> None:
        """Flush and close all."""
        self._makers = {}
        self._each(lambda logger: logger.close())
        self._loggers = {}

    def _each(self, call: Callable[[Logger], None]) -> None:
        self.open()
        for name, own in list(self._loggers.items()):
            self._try(name, partial(call, own))

    def _try(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._loggers.pop(name, None)
            logger.warning(
                "%s failed and is left out from here on, the run goes on (%s: %s)",
                name,
                type(error).__name__,
                error,
            )


def files_of_a_run() -> list[str]:
    """Names in OUTPUT_DIR that all loggers use for one run."""
    return [name for _, kind in LOGGERS for name in kind.OF_A_RUN]


def build_loggers(cfg: CfgNode) -> Loggers:
    """The loggers that a configuration enables."""
    folder, settings = Path(cfg.OUTPUT_DIR), changed_keys(cfg)
    makers = {}
    for name, kind in LOGGERS:
        (options,) = (options_of(cfg, cls) for cls in LOGGERS.options(name))
        if options.enable:  # type: ignore[attr-defined]
            makers[name] = partial(kind, options, folder, settings)
    return Loggers(makers)


def check_loggers(cfg: CfgNode) -> Iterable[Problem]:
    """Loggers that are enabled but not installed: said before hours of training, not after."""
    for name, kind in LOGGERS:
        (options,) = (options_of(cfg, cls) for cls in LOGGERS.options(name))
        missing = kind.missing() if options.enable else ""  # type: ignore[attr-defined]
        if missing:
            yield Problem(f"{options.section}.ENABLE", f"{name} is not installed", missing)
