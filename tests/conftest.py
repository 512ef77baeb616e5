"""Shared fixtures: folders of reference data that a checkout may lack; the quick part; several processes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference_data import GOLDEN, SHARED

from slowfast_ext.cli.signals import STOP_SIGNALS

QUICK = ("config", "data", "models", "tasks", "test_golden.py", "test_house.py", "test_import.py")
"""Folders and files of the quick part, `pytest -m quick`: all of the models, pixels, metrics and configuration."""

NOT_QUICK = (
    "test_class_folders.py",
    "test_create.py",
    "test_data_tool.py",
    "test_decode_limits.py",
    "test_decode_source.py",
    "test_decode_watchdog.py",
    "test_masked.py",
    "test_memory.py",
    "test_soak.py",
    "test_weights_public.py",
)
"""Files there that start processes, or take seconds for other reasons."""


def pytest_configure(config):
    """Before torch is loaded: several processes share the cores, and so do the commands that they start."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What a test printed or logged goes to another process as UTF-8, whatever names of files are in it."""
    report = yield
    report.sections = [
        (head, text.encode(errors="replace").decode()) for head, text in report.sections
    ]
    return report


def pytest_xdist_auto_num_workers(config):
    """Each process holds a torch of its own: 1 GB."""
    return min(4, os.cpu_count() or 1)


def pytest_collection_modifyitems(items):
    """Mark the quick part; whoever marks a test slow takes it out."""
    for item in items:
        inside = item.path.relative_to(Path(__file__).parent).parts
        quick = inside[0] in QUICK and item.path.name not in NOT_QUICK
        if quick and not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.quick)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a run keeps in the user's cache goes to a folder of the tests, in the processes that they start too."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command that was stopped inside a test stays deaf to signals; the tests after it do not."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        pytest.skip(f"{path} is not there: reference data that is not part of the project")
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Numeric truth of the published models."""
    return _folder(GOLDEN)


@pytest.fixture(scope="session")
def manifest_dir() -> Path:
    """Key and shape lists of public checkpoints."""
    return _folder(SHARED / "manifests")


@pytest.fixture(scope="session")
def video_dir() -> Path:
    """Real clips, labelled sets and broken files."""
    return _folder(SHARED / "videos")
