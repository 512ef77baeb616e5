"""Shared fixtures: folders of reference data that a checkout may lack."""

from pathlib import Path

import pytest
from reference_data import GOLDEN, SHARED


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
