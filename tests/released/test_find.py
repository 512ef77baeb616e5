"""Names of weights: paths, published weights, links and what other experiments have trained."""

import re

import pytest
import torch

from slowfast_ext.cli import main as command
from slowfast_ext.engine.checkpoint import CheckpointStore, Position
from slowfast_ext.errors import CheckpointError
from slowfast_ext.hub import list_models
from slowfast_ext.released import registry, released
from slowfast_ext.released.find import find_weights

ENTRY = """
small:
  source: a paper
  file: small.pth
  link: {url}/small.pth
  licence: MIT
  what: a start
page:
  source: a paper
  file: page.pth
  link: https://drive.google.com/file/d/abc/view
  licence: MIT
  what: a start
  browser: true
"""


@pytest.fixture
def listed(server, cache, tmp_path, monkeypatch):
    file = tmp_path / "weights.yaml"
    file.write_text(ENTRY.format(url=server.url))
    monkeypatch.setattr(registry, "REGISTRY", file)
    released.cache_clear()
    yield server
    released.cache_clear()


def test_the_registry_is_complete_and_its_names_are_unlike_others():
    assert len({weights.file for weights in released().values()}) == len(released())
    for weights in released().values():
        assert weights.link.startswith("https://")
        assert weights.licence
        assert weights.what
        assert weights.browser == (
            "drive.google.com" in weights.link or "github.com/OpenGVLab" in weights.link
        )
        assert re.fullmatch(r"([0-9a-f]{8,64})?", weights.sha256)
    assert not set(released()) & {"", "best", *list_models()}


def test_a_registered_name_is_fetched_once(listed, cache, capsys):
    listed.files["/small.pth"] = b"weights"
    assert command(["weights", "where", "small"]) == 0
    assert "fetched when used" in capsys.readouterr().out
    assert find_weights("small") == find_weights("small") == cache / "small.pth"
    assert len(listed.requests) == 1
    assert command(["weights", "list", "s*"]) == 0
    assert re.search(r"small +here ", capsys.readouterr().out)


def test_what_a_program_cannot_fetch_is_said_with_its_link(listed, cache):
    with pytest.raises(
        CheckpointError, match=r"https://drive.google.com/file/d/abc/view.*page\.pth"
    ):
        find_weights("page")
    cache.mkdir()
    (cache / "page.pth").write_bytes(b"x")
    assert find_weights("page") == cache / "page.pth"


def test_a_path_comes_first_and_a_misspelt_name_is_corrected(listed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").write_bytes(b"mine")
    assert find_weights("small").read_bytes() == b"mine"
    with pytest.raises(CheckpointError, match="did you mean page"):
        find_weights("pagee")
    assert str(find_weights("gone/weights.pth")) == "gone/weights.pth"


def test_a_link_is_fetched(listed, cache):
    listed.files["/a%20b.pth"] = b"weights"
    found = find_weights(f"{listed.url}/a%20b.pth?dl=1")
    assert found.read_bytes() == b"weights"
    assert (found.name, found.parents[1]) == ("a b.pth", cache)
    with pytest.raises(CheckpointError, match="iopath"):
        find_weights("nowhere://bucket/weights.pth")


def test_the_best_or_newest_checkpoint_of_an_experiment(tmp_path, monkeypatch):
    monkeypatch.setenv("OUTPUT_ROOT", str(tmp_path / "elsewhere"))
    own = tmp_path / "output" / "mine"
    with pytest.raises(CheckpointError, match=r"bash exp/theirs/run\.sh"):
        find_weights("exp:theirs", own)
    store = CheckpointStore(tmp_path / "output" / "theirs", 0)
    for position in (Position(9), Position(10, 3), Position(10)):
        store.save({"x": torch.zeros(1)}, position)
    assert find_weights("exp:theirs", own) == store.path(Position(10, 3))
    store.mark_best(Position(9))
    assert find_weights("exp:theirs", own).name == "checkpoint_best.pyth"
    root = CheckpointStore(tmp_path / "elsewhere" / "theirs", 0)
    root.save({"x": torch.zeros(1)}, Position(1))
    assert find_weights("exp:theirs", own) == root.path(Position(1))
