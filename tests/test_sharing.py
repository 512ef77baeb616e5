"""Checkpoints to the hub and back, against a server of our own."""

import pytest
import torch
import yaml
from engine.tiny_run import SETTINGS
from hub_stand_in import running_hub

import slowfast_ext
from slowfast_ext import cli, sharing
from slowfast_ext.errors import CheckpointError, ConfigError

pytest.importorskip("huggingface_hub", reason="optional: pip install .[hub]")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run with averaged weights, trained and tested."""
    from engine.tiny_run import config

    from slowfast_ext.cli.jobs import train_and_test

    folder = tmp_path_factory.mktemp("shared")
    settings = {"OUTPUT_DIR": str(folder / "run"), "DATA.PATH_TO_DATA_DIR": str(folder / "motion")}
    train_and_test(config(settings, SOLVER__MAX_EPOCH=1, TRAIN__EMA_DECAY=0.5))
    return folder / "run"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.chdir(tmp_path)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def test_there_and_back(run, hub, capsys, tmp_path):
    weights = run / "checkpoints/checkpoint_best.pyth"
    assert cli.main(["push", str(weights), "someone/motion", "--private", "--licence", "mit"]) == 0
    assert capsys.readouterr().out.strip() == f"{hub.address}/someone/motion"
    assert hub.private == {"someone/motion": True}
    assert set(hub.repos["someone/motion"]) == {"README.md", "config.yaml", "checkpoint.pyth"}

    assert cli.main(["pull", "someone/motion"]) == 0
    assert "predict --weights motion/checkpoint.pyth" in capsys.readouterr().out
    ours, theirs = slowfast_ext.load_model(weights), slowfast_ext.load_model("motion/checkpoint.pyth")  # fmt: skip
    assert theirs.class_names == ours.class_names
    clip = torch.randn(1, 3, SETTINGS["DATA.NUM_FRAMES"], 32, 32)
    assert torch.equal(theirs(clip), ours(clip))
    sizes = [path.stat().st_size for path in (tmp_path / "motion/checkpoint.pyth", weights)]
    assert sizes[0] < sizes[1]  # no optimizer


def test_the_card_tells_the_truth(run, hub):
    sharing.push(run / "checkpoints/checkpoint_best.pyth", "someone/motion", licence="mit")
    card = hub.repos["someone/motion"]["README.md"].decode()
    _, header, text = card.split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["license"] == "mit"
    assert facts["library_name"] == "slowfast_ext"
    measured = yaml.safe_load((run / "results/metrics.json").read_text())
    (result,) = facts["model-index"][0]["results"]
    found = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert found == {name: round(value, 2) for name, value in measured.items()}
    assert "4 frames" in text
    assert "move right" in text
    assert "1 epochs" in text
    assert "2 clips x 3 crops" in text


def test_a_checkpoint_away_from_its_run_says_not_tested(run, hub, tmp_path):
    copy = tmp_path / "alone.pyth"
    copy.write_bytes((run / "checkpoints/checkpoint_best.pyth").read_bytes())
    sharing.push(copy, "someone/alone")
    assert "Not tested." in hub.repos["someone/alone"]["README.md"].decode()


def test_mistakes_are_one_line(run, hub, capsys, monkeypatch, tmp_path):
    weights = str(run / "checkpoints/checkpoint_best.pyth")
    assert cli.main(["pull", "someone/nowhere"]) == 2
    assert "someone/nowhere" in capsys.readouterr().err
    assert cli.main(["push", weights, "three/parts/name"]) == 2
    assert "three/parts/name" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConfigError, match="HF_TOKEN"):
        sharing.push(weights, "someone/else")
    assert hub.repos == {}
    torch.save({"model_state": {}}, tmp_path / "foreign.pyth")
    with pytest.raises(CheckpointError, match="no configuration of ours"):
        sharing.push(tmp_path / "foreign.pyth", "someone/else")
    hub.repos["someone/empty"] = {}
    with pytest.raises(ConfigError, match=r"has no README\.md"):
        sharing.pull("someone/empty")


def test_without_the_package_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match="pip install"):
        sharing.pull("someone/motion")
