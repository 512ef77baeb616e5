"""What a rank takes over from its launcher: nothing of it reaches the processes that the rank starts."""

import os
import subprocess
import sys

from slowfast_ext import launched


def test_the_variables_of_the_launcher_end_with_the_rank():
    read, write = os.pipe()
    code = (
        "import os, subprocess, sys; from slowfast_ext import launched; launched.join_launcher();"
        "launched.say_last('last \\udcff words'); print(launched.speaks_for_all());"
        "subprocess.run([sys.executable, '-c',"
        " \"import os; print(sorted({'SLOWFAST_LAUNCHER', 'SLOWFAST_ERRORS'} & {*os.environ}))\"])"
    )
    environment = {**os.environ, launched.LAUNCHER: str(os.getpid()), launched.ERRORS: str(write)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, pass_fds=(write,), capture_output=True, text=True, check=True
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read, "rb") as words:
        assert words.read() == b"last \\udcff words"
    assert {*done.stdout.split()} == {"False", "[]"}
