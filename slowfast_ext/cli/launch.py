"""One command, several processes: start the workers of this node, watch them, end them together.

Under torchrun or Slurm the processes exist already, and `run_everywhere` runs in each.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import IO

from torch.distributed import TCPStore

from slowfast_ext.cli import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from slowfast_ext.cli.signals import PATIENCE, STOP_SIGNALS, end_if_asked
from slowfast_ext.data.advice import cores
from slowfast_ext.engine.distributed import check_processes, processes_on_this_node
from slowfast_ext.engine.options import RunOptions
from slowfast_ext.errors import ConfigError, Interrupted
from slowfast_ext.launched import ERRORS, LAUNCHER
from slowfast_ext.processes import accept_signals, end_children, shielded_children

ENDED_AT_ONCE = "interrupted; the same command goes on from the last checkpoint, if there is one"

GRACE_SECONDS = 12.0
"""From asking the rest to end to killing them. No process ends by a stop before the checkpoint is written."""

SETTLING_SECONDS = 4.0
"""That the others have to end by themselves, where the first to end only says that another one was gone."""

_OF_ANOTHER = re.compile(r"gloo|nccl|torch\.distributed", re.IGNORECASE)
"""In the last words of a process that another one left alone in a collective."""


def run_everywhere(job: Callable[[], None], options: RunOptions, command: Sequence[str]) -> int:
    """Run `job` in every process of this node; returns the exit code of the command.

    `command` makes a worker do the same: it starts the further processes.
    """
    end_if_asked()
    count = processes_on_this_node(options)
    note = check_processes(options, cores())
    if "WORLD_SIZE" in os.environ:
        return run_here(job)
    if note:
        print(note, file=sys.stderr)
    if count * options.num_shards == 1:
        return run_here(job)
    return _Workers(options, command, count).watch()


def environment_pairs() -> list[str]:
    """KEY VALUE pairs that torchrun's environment implies: nodes, and processes on this one."""
    if "WORLD_SIZE" not in os.environ:
        return []
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    nodes = int(os.environ["WORLD_SIZE"]) // local
    shard = int(os.environ.get("RANK", 0)) // local
    return ["NUM_GPUS", str(local), "NUM_SHARDS", str(nodes), "SHARD_ID", str(shard)]


def run_here(job: Callable[[], None]) -> int:
    """Run the job in this process, without a process of its own left behind."""
    try:
        job()
        return EXIT_OK
    except KeyboardInterrupt:
        raise KeyboardInterrupt(ENDED_AT_ONCE) from None
    finally:
        # Before the loaders are dropped, which would wait for each of their processes in turn.
        end_children()


class _Workers:
    """Child processes with torchrun's environment, that meet at a port held open by this process.

    With several nodes they meet at MASTER_ADDR:MASTER_PORT, where the first process listens. Signals that come while
    they start reach them when they can tell what a signal means.
    """

    def __init__(self, options: RunOptions, command: Sequence[str], count: int) -> None:
        self._meeting, self._store = _meeting_point(options.num_shards)
        self._asked, self._asked_at, self._at_once = "", 0.0, False
        self._ending_since = self._settling_since = 0.0
        self._children: dict[int, subprocess.Popen] = {}
        first, size = options.shard_id * count, options.num_shards * count
        # Files without a name: whatever ends this process leaves none behind.
        self._errors: dict[int, IO[bytes]] = {
            rank: tempfile.TemporaryFile()  # noqa: SIM115 - they live as long as this does
            for rank in range(first, first + count)
        }
        with shielded_children():
            for number in STOP_SIGNALS:
                signal.signal(number, self._pass_on)
            for rank, errors in self._errors.items():
                self._children[rank] = subprocess.Popen(
                    command,
                    env=self._environment(rank, count, size, errors.fileno()),
                    pass_fds=(errors.fileno(),),
                )
        accept_signals()

    def _environment(self, rank: int, count: int, size: int, errors: int) -> dict[str, str]:
        return {
            **os.environ,
            **self._meeting,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank % count),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(count),
            LAUNCHER: str(os.getpid()),
            ERRORS: str(errors),
        }

    def _pass_on(self, number: int, _frame: FrameType | None = None) -> None:
        if number == signal.SIGINT and self._asked and time.monotonic() - self._asked_at > PATIENCE:
            self._at_once = True
            self._send(signal.SIGKILL)
            return
        if not self._asked:
            self._asked, self._asked_at = signal.Signals(number).name, time.monotonic()
        self._send(number)

    def _send(self, number: int) -> None:
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(number)

    def watch(self) -> int:
        """Wait for all. When one fails or is interrupted the rest are asked to end, then killed."""
        first: int | None = None
        while any(child.poll() is None for child in self._children.values()):
            time.sleep(0.1)
            if not self._ending_since:
                first = self._first_ended_badly()
            if first is not None and self._is_the_cause(first):
                self._end_rest()
        if self._at_once:
            raise KeyboardInterrupt(ENDED_AT_ONCE)
        if not self._ending_since:
            first = self._first_ended_badly()
        return EXIT_OK if first is None else self._explain(first)

    def _first_ended_badly(self) -> int | None:
        """Rank of a child that was interrupted, else was killed, else ended with an error, of its own if there is one.

        Those that another one leaves alone in a collective fail too, and may be gone sooner.
        """
        codes = {rank: child.poll() for rank, child in self._children.items()}
        failed = {rank: code for rank, code in codes.items() if code not in (None, EXIT_OK)}
        return min(
            failed,
            key=lambda r: (failed[r] != EXIT_INTERRUPTED, failed[r] > 0, self._was_left(r)),
            default=None,
        )

    def _was_left(self, rank: int) -> bool:
        """Whether a child that has ended failed because another one was gone."""
        code = self._children[rank].returncode
        return code == EXIT_FAILED and _OF_ANOTHER.search(self._last_words(rank)) is not None

    def _is_the_cause(self, rank: int) -> bool:
        """Whether the others need not be waited for to know why the run ends."""
        self._settling_since = self._settling_since or time.monotonic()
        is_over = time.monotonic() - self._settling_since > SETTLING_SECONDS
        return is_over or not self._was_left(rank)

    def _last_words(self, rank: int) -> str:
        self._errors[rank].seek(0)
        return self._errors[rank].read().decode(errors="replace")

    def _end_rest(self) -> None:
        if not self._ending_since:
            self._ending_since = time.monotonic()
            self._send(signal.SIGTERM)
        elif time.monotonic() - self._ending_since > GRACE_SECONDS:
            self._send(signal.SIGKILL)

    def _explain(self, rank: int) -> int:
        code = self._children[rank].returncode
        text = self._last_words(rank)
        if code in (EXIT_OK, EXIT_FAILED) or code < 0:
            code = EXIT_INTERRUPTED if self._asked else code
        if code == EXIT_INTERRUPTED:
            raise Interrupted(text or f"stopped by {self._asked}")
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        print(f"rank {rank} {how}; the other processes were stopped", file=sys.stderr)
        print(text, file=sys.stderr, flush=True)
        return code if code > 0 else EXIT_FAILED


def _meeting_point(nodes: int) -> tuple[dict[str, str], TCPStore | None]:
    """Environment that tells the children where to meet, and the store behind it if it is ours.

    On one node nothing listens where another machine could connect.
    """
    if nodes == 1:
        listener = socket.create_server(("127.0.0.1", 0))
        host, port = listener.getsockname()
        store = TCPStore(
            host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
        )
        address = {"MASTER_ADDR": host, "MASTER_PORT": str(port)}
        return _loopback() | address | {"TORCHELASTIC_USE_AGENT_STORE": "True"}, store
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"NUM_SHARDS = {nodes}: set {' and '.join(missing)} in the environment of every node, "
            "the name of the first node and a free port there"
        )
    return {}, None


def _loopback() -> dict[str, str]:
    """Gloo's network interface, unless one is chosen."""
    names = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if "GLOO_SOCKET_IFNAME" in os.environ or not names:
        return {}
    return {"GLOO_SOCKET_IFNAME": names[0]}
