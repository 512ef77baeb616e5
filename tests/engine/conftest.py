"""A tiny real run: a few rendered clips, a small ViT, seconds on a CPU."""

import pytest
from tiny_run import SETTINGS, config

from slowfast_ext.data.annotations import read_videos


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """The rendered clips, shared by all tests of the session."""
    folder = tmp_path_factory.mktemp("clips")
    cfg = config({"DATA.PATH_TO_DATA_DIR": folder})
    for split in ("train", "val"):
        read_videos(cfg, split)
    return folder


@pytest.fixture
def settings(clips, tmp_path):
    """Overrides of a run of its own."""
    return {**SETTINGS, "DATA.PATH_TO_DATA_DIR": clips, "OUTPUT_DIR": tmp_path / "out"}
