"""A published program that is a stand-in: the same transformer, written down plainly in a checkout of its own."""

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import beside, sides
from benchmarks.published import PROGRAMS, Published, build_published
from slowfast_ext.engine import precision

SOURCE = '''
import torch
from torch import nn

class Plain(nn.Module):
    """Says of a clip what its mean says."""
    def __init__(self, cfg):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(3, cfg.MODEL.NUM_CLASSES)
    def forward(self, x):
        return self.head(self.drop(x[0].mean((2, 3, 4))))
'''
DEFAULTS = """
from yacs.config import CfgNode

def get_cfg():
    cfg = CfgNode()
    cfg.MODEL = CfgNode({"NUM_CLASSES": 2})
    return cfg
"""
ENTRY = Published(
    "plain",
    ".",
    "slowfast.models.plain",
    "Plain",
    "plain.yaml",
    "uniformer_s16x4_k400",
    {"MODEL.NUM_CLASSES": 5},
)


@pytest.fixture
def checkout(tmp_path):
    """Its packages fail where they are imported as a whole, as do those that want a data set's library."""
    files = {
        "slowfast/__init__.py": "import a_library_that_nobody_has",
        "slowfast/models/__init__.py": "import a_library_that_nobody_has",
        "slowfast/models/plain.py": SOURCE,
        "slowfast/config/defaults.py": DEFAULTS,
        "plain.yaml": "MODEL: {NUM_CLASSES: 3}",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


def test_a_module_is_imported_without_its_packages(checkout):
    model = build_published(ENTRY, checkout)
    assert model([torch.zeros(2, 3, 4, 8, 8)]).shape == (2, 5)


def test_a_published_program_drops_nothing(checkout):
    model, clip = build_published(ENTRY, checkout).train(), torch.randn(2, 3, 4, 8, 8)
    torch.testing.assert_close(model([clip]), model([clip]), rtol=0, atol=0)


def test_nor_does_ours():
    """XViT has dropout of its own, on class tokens of frames."""
    model, _ = sides.our_model("xvit_b16_k400", *SMALL)
    rates = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert rates
    assert not any(rates)


def test_what_is_no_checkout_is_named(tmp_path):
    with pytest.raises(ImportError, match="no folder slowfast"):
        build_published(ENTRY, tmp_path)


class OwnWays(torch.nn.Sequential):
    """Like XViT's program: its train() returns nothing, and its forward pass decides itself on gradients."""

    def train(self, mode=True):
        super().train(mode)

    def forward(self, x):
        with torch.set_grad_enabled(True):
            x = self[1](self[0](x))
        return self[2](x.view(len(x), -1))


def both(batch, *_):
    layers = (torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 8 * 8, 5), torch.nn.Identity())
    model = OwnWays(*layers)
    clip = torch.randn(batch, 3, 4, 8, 8)
    return sides.Side(model, clip, model), sides.Side(model, clip, lambda x: model(x) + 0.5)


def test_both_are_timed_and_a_difference_is_seen():
    found = beside.measure(beside.How(rounds=2, batch=2, threads=1), both)
    assert found.difference > beside.TOLERANCE["fp32"]
    assert all(seconds >= 0 for seconds in (*found.forward_s, *found.training_s))
    assert found.gmacs == (3840 / 1e9, 3840 / 1e9)
    assert found.memory[0] == found.memory[1] == 2 * 3 * 4 * 8 * 8 * 4


def test_turns_change_places():
    calls = []
    beside.in_turn(
        [lambda: calls.append("theirs"), lambda: calls.append("ours")], 2, torch.device("cpu")
    )
    assert calls == ["theirs", "ours", "ours", "theirs"]


def test_a_program_that_cannot_train_on_one_clip_gets_more(checkout, monkeypatch, capsys):
    entry, clips = replace(ENTRY, least_batch=3), []
    monkeypatch.setattr(sides, "_with_their_weights", lambda batch, *_: clips.append(batch))
    for batch in (1, 4):
        sides.beside_published(batch, entry, checkout)
    assert clips == [3, 4]
    monkeypatch.setattr(beside, "PROGRAMS", {"plain": (entry,)})
    monkeypatch.setattr(beside, "in_own_process", lambda *_: beside.Failure("not run"))
    beside.main(["--program", f"plain={checkout}"])
    assert "plain, batch 3" in capsys.readouterr().out


SMALL = ("VIT.EMBED_DIM", "24", "VIT.DEPTH", "1", "VIT.NUM_HEADS", "3", "DATA.TRAIN_CROP_SIZE", "32",
         "DATA.TEST_CROP_SIZE", "32", "DATA.NUM_FRAMES", "4")  # fmt: skip
ONE = beside.How(rounds=1, threads=1)


def test_softmax_stands_beside_a_linear_kernel():
    """Another model, of as many frames; its attention costs more on many tokens."""
    found = beside.measure(ONE, sides.beside_softmax, "feature_fixation_joint_ssv2", *SMALL)
    assert found.difference != found.difference
    assert found.gmacs[0] != found.gmacs[1]
    assert all(size > 0 for size in found.memory)


def test_a_size_is_that_of_both(checkout, monkeypatch):
    """Keys that a published program calls the same, whole numbers there."""
    asked = []
    monkeypatch.setattr(sides, "beside_published", lambda *given: asked.append(given))
    sides.beside_program(1, "xvit", "xvit", str(checkout), *sides.of_size(64))
    ((_, entry, _),) = asked
    assert (entry.changes["DATA.TRAIN_CROP_SIZE"], entry.changes["DATA.TEST_CROP_SIZE"]) == (64, 64)
    _, shape = sides.our_model(entry.ours, *entry.our_changes, *SMALL[:6])
    assert shape == (3, 16, 64, 64)


def test_the_model_of_the_hub_has_the_same_outputs():
    pytest.importorskip("transformers", reason="the package transformers is not installed")
    found = beside.measure(ONE, sides.beside_hub, *SMALL)
    assert found.difference < 1e-4


def test_a_published_program_is_emulated_where_ours_is_not(monkeypatch):
    """bf16 of a CPU without it, as both would be run."""
    theirs, ours = (side.autocast(torch.device("cpu"), "bf16") for side in precisions(monkeypatch))
    assert theirs.fast_dtype == torch.bfloat16
    assert theirs._enabled
    assert not ours._enabled


def precisions(monkeypatch):
    monkeypatch.setattr(precision, "cpu_computes", lambda dtype: False)
    precision._is_emulated.cache_clear()
    other, *_ = both(1)
    yield replace(other, autocast=sides.autocast_of_torch)
    yield other
    precision._is_emulated.cache_clear()


def test_reference_form_has_the_weights_of_the_fast_one():
    found = beside.measure(ONE, sides.beside_reference, "motionformer_joint_k400", *SMALL)
    assert found.difference < beside.TOLERANCE["fp32"]


def test_programs_name_experiments_of_ours():
    for entries in PROGRAMS.values():
        for entry in entries:
            assert (sides.EXP / entry.ours / "config.yaml").is_file()


def test_a_wrong_program_is_a_usage_error(capsys):
    with pytest.raises(SystemExit):
        beside.main(["--program", f"unknown={Path.cwd()}"])
    assert "NAME one of uniformer" in capsys.readouterr().err
