"""One command, several processes: start the workers of this node, watch them, end them together.

Under torchrun or Slurm the processes exist already, and `run_everywhere` runs in each.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from torch.distributed import TCPStore

from slowfast_ext.engine.distributed import processes_on_this_node
from slowfast_ext.engine.options import RunOptions
from slowfast_ext.errors import CheckpointError, ConfigError, DataError, Interrupted

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 75
EXIT_KILLED = 130

GRACE_SECONDS = 20.0
_ERROR_FILE = "SLOWFAST_ERROR_FILE"


def run_everywhere(job: Callable[[], None], options: RunOptions, command: Sequence[str]) -> int:
    """Run `job` in every process of this node; returns the exit code of the command.

    `command` makes a worker do the same: it starts the further processes.
    """
    count = processes_on_this_node(options)
    if "WORLD_SIZE" in os.environ or count * options.num_shards == 1:
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
    """Run the job in this process and turn its end into an exit code and one message."""
    try:
        job()
        return EXIT_OK
    except Interrupted as stop:
        _report(str(stop))
        return EXIT_INTERRUPTED
    except (ConfigError, DataError, CheckpointError) as error:
        _report(f"{type(error).__name__}: {error}")
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        _report("interrupted; the same command goes on from the last checkpoint, if there is one")
        return EXIT_KILLED
    except Exception:
        _report(traceback.format_exc())
        return EXIT_FAILED


def _report(text: str) -> None:
    """To the launcher if there is one, which prints the first failing rank's words first."""
    error_file = os.environ.get(_ERROR_FILE)
    if error_file:
        Path(error_file).write_text(text, encoding="utf-8")
    else:
        print(text, file=sys.stderr, flush=True)


class _Workers:
    """Child processes with torchrun's environment, that meet at a port held open by this process.

    With several nodes they meet at MASTER_ADDR:MASTER_PORT, where the first process listens.
    """

    def __init__(self, options: RunOptions, command: Sequence[str], count: int) -> None:
        self._meeting, self._store = _meeting_point(options.num_shards)
        self._errors = Path(tempfile.mkdtemp(prefix="slowfast_ext_"))
        self._stopping = 0.0
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._forward)
        first, size = options.shard_id * count, options.num_shards * count
        self._children = {
            rank: subprocess.Popen(command, env=self._environment(rank, count, size))
            for rank in range(first, first + count)
        }

    def _environment(self, rank: int, count: int, size: int) -> dict[str, str]:
        return {
            **os.environ,
            **self._meeting,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank % count),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(count),
            _ERROR_FILE: str(self._errors / str(rank)),
        }

    def _forward(self, number: int, _frame: FrameType | None = None) -> None:
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(number)

    def watch(self) -> int:
        """Wait for all. When one fails or is interrupted the rest are asked to end, then killed."""
        first: int | None = None
        while any(child.poll() is None for child in self._children.values()):
            time.sleep(0.1)
            first = self._first_ended_badly() if first is None else first
            if first is not None:
                self._end_rest()
        first = self._first_ended_badly() if first is None else first
        return EXIT_OK if first is None else self._explain(first)

    def _first_ended_badly(self) -> int | None:
        """Rank of a child that was killed, else ended with an error, else was interrupted."""
        codes = {rank: child.poll() for rank, child in self._children.items()}
        failed = {rank: code for rank, code in codes.items() if code not in (None, EXIT_OK)}
        return min(
            failed, key=lambda r: (failed[r] == EXIT_INTERRUPTED, failed[r] > 0), default=None
        )

    def _end_rest(self) -> None:
        if not self._stopping:
            self._stopping = time.monotonic()
            self._forward(signal.SIGTERM)
        elif time.monotonic() - self._stopping > GRACE_SECONDS:
            self._forward(signal.SIGKILL)

    def _explain(self, rank: int) -> int:
        code = self._children[rank].returncode
        error_file = self._errors / str(rank)
        text = error_file.read_text(encoding="utf-8") if error_file.exists() else ""
        if code != EXIT_INTERRUPTED:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            print(f"rank {rank} {how}; the other processes were stopped", file=sys.stderr)
        print(text, file=sys.stderr, flush=True)
        return code if code > 0 else EXIT_FAILED


def _meeting_point(nodes: int) -> tuple[dict[str, str], TCPStore | None]:
    """Environment that tells the children where to meet, and the store behind it if it is ours."""
    if nodes == 1:
        store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        address = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(store.port)}
        return address | {"TORCHELASTIC_USE_AGENT_STORE": "True"}, store
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"NUM_SHARDS = {nodes}: set {' and '.join(missing)} in the environment of every node, "
            "the name of the first node and a free port there"
        )
    return {}, None
