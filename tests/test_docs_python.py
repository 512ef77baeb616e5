"""The Python of the pages runs, page by page, with small models behind the names that the pages use."""

import numpy as np
import pytest
import torch
from documented.commands import ROOT, python_blocks
from documented.world import run_python
from finetune.finetune_cases import write_clip

import slowfast_ext
from slowfast_ext import hub
from slowfast_ext.models.weights import WEIGHTS

TINY = {
    "VIT.EMBED_DIM": 24, "VIT.DEPTH": 12, "VIT.NUM_HEADS": 3, "VIT.PATCH_SIZE": [2, 16, 16], "DATA.NUM_FRAMES": 4,
    "DATA.SAMPLING": "segment", "DATA.TRAIN_CROP_SIZE": 32, "DATA.TEST_CROP_SIZE": 32, "VIT.POS_FRAMES": 4,
}  # fmt: skip

COMPILED_ONLY = {
    "CONTRIBUTING.md": "an excerpt of a file of the package",
    "docs/public_weights.md": "files of releases; tests/models/test_weights_public.py loads small ones",
    "docs/packing.md": "a pack of a data set; tests/data/test_pack.py reads one",
    "docs/hub.md": "a hub; tests/test_sharing.py does the same with a small one",
    "docs/extending/weights.md": "a skeleton",
    "docs/extending/decoder.md": "a skeleton",
}
"""Page -> why its Python is only compiled."""

EXTENDING = "docs/extending/"
"""Their code is that of tests/extending (tests/test_docs_pages.py), which tests/test_extending.py trains with."""

PAGES = sorted({page for page, _, _ in python_blocks()})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Small files behind the names of the pages; models of the zoo are small."""
    real = hub.model_config
    monkeypatch.setattr(hub, "model_config", lambda name, settings=None: real(name, {**TINY, **(settings or {})}))  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(*paths):
    """A checkpoint of ours with two classes."""
    model = slowfast_ext.create_model("joint_b", num_classes=2)
    state = {
        "model_state": model.state_dict(),
        "cfg": model.config.dump(),
        "class_names": [["fall", "walk"]],
    }
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)


def readme(folder):
    from data.official_sets import WRITERS

    timm = slowfast_ext.create_model("joint_b", num_classes=10, settings={"VIT.PATCH_SIZE": [1, 16, 16]})  # fmt: skip
    theirs = WEIGHTS.get("timm").to_theirs(timm.state_dict(), timm)
    torch.save(dict(theirs), folder / "vit_base_patch16_224.pth")  # fmt: skip
    (folder / "ssv2").mkdir()
    WRITERS["ssv2"](folder / "ssv2")


def videos(folder):
    for name in ("video.mp4", "a.mp4", "b.mp4", "long.mp4"):
        write_clip(folder / name, 0, 0)
    checkpoint(
        folder / "output/mine/checkpoints/checkpoint_epoch_00001.pyth",
        folder / "output/motion_uniformer_joint/checkpoints/checkpoint_epoch_00001.pyth",
        folder / "checkpoint.pyth",
        folder / "checkpoint_best.pyth",
    )


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page(page, folder, monkeypatch, capsys):
    names = {}
    if page in COMPILED_ONLY or page.startswith(EXTENDING):
        for own, line, code in python_blocks():
            if own == page:
                compile(code, f"{page}:{line}", "exec")
        return
    videos(folder)
    if page == "README.md":
        readme(folder)
        own = slowfast_ext.create_dataset
        monkeypatch.setattr(
            slowfast_ext, "create_dataset",
            lambda name, root, split: own(name, folder / "ssv2", split, num_frames=4, crop_size=32, sampling="segment"),
            raising=False,
        )  # fmt: skip
    if page == "docs/export.md":
        pytest.importorskip("onnx", reason="optional: pip install .[export]")
        slowfast_ext.export_model(
            slowfast_ext.load_model("checkpoint.pyth"), "model.pt2", preprocess=True
        )
        clips = np.zeros((1, 4, 32, 32, 3), np.uint8)
        names = {"clips": clips}
    run_python(folder, page, names)


def test_only_pages_that_are_there_are_excepted():
    assert set(COMPILED_ONLY) <= set(PAGES)
    assert all((ROOT / page).exists() for page in PAGES)
