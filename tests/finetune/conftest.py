"""A tree of class folders with rendered clips, and the command with settings that take seconds."""

import pytest
from finetune_cases import QUICK, write_clip

from slowfast_ext.cli import finetune
from slowfast_ext.data.motion import CLASS_NAMES


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Three classes of 6, 5 and 3 clips; do not write into it."""
    root = tmp_path_factory.mktemp("clips") / "moves"
    for label, count in ((0, 6), (1, 5), (2, 3)):
        for index in range(count):
            write_clip(root / CLASS_NAMES[label] / f"clip {index}.mp4", label, index)
    return root


@pytest.fixture
def run(capfd, monkeypatch):
    """Runs the command, without its report; (exit code, output, errors)."""
    monkeypatch.setattr(finetune, "_report", lambda out: None)

    def go(*arguments):
        code = finetune.main([*map(str, arguments), *QUICK])
        out, errors = capfd.readouterr()
        return code, out, errors

    return go
