"""Runs a shown command in this process where that is the same, in a shell else; or only parses it."""

import argparse
import contextlib
import importlib
import inspect
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from documented.commands import ROOT

from slowfast_ext.config.command import files_and_pairs
from slowfast_ext.config.schema import schema

TOOLS = {"run_net": "train", "convert_weights": "convert", "make_lists": "lists", "profile_net": "profile"}  # fmt: skip
"""tools/NAME.py -> slowfast-ext NAME, where the names differ."""


def words_of(text: str) -> list[str]:
    """A command without the variables before it, `python` and the environment's folder."""
    words = shlex.split(text, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words


def module_of(words: Sequence[str]) -> tuple[str, list[str]] | None:
    """The module whose `main` a command calls, and its arguments; None for commands of other programs."""
    words = list(words)
    if words[0].endswith("python"):
        words = words[1:]
    if words[0] == "slowfast-ext" or words[:2] == ["-m", "slowfast_ext"]:
        rest = words[1:] if words[0] == "slowfast-ext" else words[2:]
        return f"slowfast_ext.cli.{rest[0]}", rest[1:]
    if words[:2] == ["-m", "benchmarks"]:
        return f"benchmarks.{words[2]}", words[3:]
    if words[:2] == ["-m", "paper_tables"]:
        return "paper_tables.__main__", words[2:]
    if words[0].startswith("tools/") and words[0].endswith(".py"):
        name = TOOLS.get(Path(words[0]).stem, Path(words[0]).stem)
        if (ROOT / f"slowfast_ext/cli/{name}.py").exists():
            return f"slowfast_ext.cli.{name}", words[1:]
    if words[0].endswith(".py") and (ROOT / words[0]).exists():
        return words[0], words[1:]
    return None


def call(module: str, arguments: Sequence[str]) -> int:
    """Its `main`, as if the command line had called it."""
    if module.endswith(".py"):
        main = runpy.run_path(str(ROOT / module))["main"]
    else:
        main = importlib.import_module(module).main
    if inspect.signature(main).parameters:
        return main(list(arguments))
    with mock.patch.object(sys, "argv", [module, *arguments]):
        return main()


def run(text: str, tail: Sequence[str] = ()) -> tuple[int, str]:
    """Exit code and everything printed. Commands of bash are run by bash, ours in this process."""
    if " exp/" in text and "bash " in text:
        arguments = _python_of(text, tail)
        found = "slowfast_ext.cli.train", arguments[1:]
    else:
        found = module_of([*words_of(text), *tail])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = call(*found)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 2
    return int(code or 0), printed.getvalue()


def _python_of(text: str, tail: Sequence[str]) -> list[str]:
    """What exp/run.sh asks its python for: a script that writes down its arguments stands in for it."""
    called = Path("called").resolve()
    stand_in = Path("python_stand_in").resolve()
    stand_in.write_text(f'#!/usr/bin/env bash\nprintf "%s\\0" "$@" > {shlex.quote(str(called))}\n')
    stand_in.chmod(0o755)
    line = f"{text} {shlex.join(tail)}"
    subprocess.run(
        ["bash", "-c", line], env={**os.environ, "PYTHON": str(stand_in)}, timeout=60, check=True
    )
    return called.read_text().split("\0")[:-1]


class Parsed(BaseException):
    """Ends a command once its line is parsed."""

    def __init__(self, parser: argparse.ArgumentParser, args: argparse.Namespace | None) -> None:
        self.parser, self.namespace = parser, args


def parse(text: str) -> argparse.Namespace:
    """What the command's own parser makes of it. Fails where it would end with a message."""
    module, arguments = module_of(words_of(text))
    with _stopped_after_parsing() as parsed:
        call(module, arguments)
    parsed.args.parser_prog = module.replace("slowfast_ext.cli.", "slowfast-ext ")
    return parsed.args


def options_of(text: str) -> set[str]:
    """All options of the command that a text begins with."""
    module, _ = module_of(words_of(text))
    with _stopped_before_parsing() as parsed:
        call(module, [])
    return set(_option_strings(parsed.parser))


def check_keys(args: argparse.Namespace) -> list[str]:
    """Keys of the pairs that the configuration does not know, and files that are not there."""
    files, pairs = [], []
    if hasattr(args, "cfg") and isinstance(getattr(args, "pairs", None), list):
        files, pairs = files_and_pairs(argparse.Namespace(**{"opts": [], **vars(args)}))
    elif hasattr(args, "cfg") or hasattr(args, "opts"):
        files, pairs = getattr(args, "cfg", []), getattr(args, "opts", [])
    if args.parser_prog == "slowfast-ext convert":  # IN and OUT come first
        pairs = pairs[2:]
    known = schema()
    unknown = [key for key in pairs[::2] if key not in known and not key.startswith("LRA.")]
    missing = [
        name
        for name in files
        if name.startswith(("exp/", "configs/")) and not (ROOT / name).exists()
    ]
    return unknown + missing


def _option_strings(parser):
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _option_strings(child)


@contextlib.contextmanager
def _stopped_after_parsing():
    own = argparse.ArgumentParser
    parse_args, intermixed = own.parse_args, own.parse_intermixed_args

    def after(parse):
        def parsed(self, args=None, namespace=None):
            raise Parsed(self, parse(self, args, namespace))

        return parsed

    with _caught(after(parse_args), after(intermixed)) as caught:
        yield caught


@contextlib.contextmanager
def _stopped_before_parsing():
    def stop(self, args=None, namespace=None):
        raise Parsed(self, None)

    with _caught(stop, stop) as caught:
        yield caught


@contextlib.contextmanager
def _caught(parse_args, intermixed):
    caught = argparse.Namespace(parser=None, args=None)
    own = argparse.ArgumentParser
    with (
        mock.patch.object(own, "parse_args", parse_args),
        mock.patch.object(own, "parse_intermixed_args", intermixed),
    ):
        try:
            yield caught
        except Parsed as parsed:
            caught.parser, caught.args = parsed.parser, parsed.namespace
    assert caught.parser is not None, "the command parsed nothing"
