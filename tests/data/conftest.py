"""Loose files and a pack of them, made once for all tests that read packs."""

import packs
import pytest


@pytest.fixture(scope="session")
def loose(tmp_path_factory):
    """A folder of videos and images, with lists of them; tests leave it as it is."""
    return packs.make_loose(tmp_path_factory.mktemp("loose"))


@pytest.fixture(scope="session")
def packed(loose, tmp_path_factory):
    """The pack of `loose`, each sample in a shard of its own, so that harm to one is none to others."""
    out = tmp_path_factory.mktemp("packed")
    assert packs.pack(loose, out)[1] == []
    return out
