"""A scratch folder in which the names that the pages use exist, small: VIDEOS, clip.mp4, runs/mine, data/ssv2, ..."""

import shutil
from pathlib import Path

import torch
import yaml
from data.official_sets import WRITERS
from documented.commands import ROOT, python_blocks, yaml_files
from finetune.finetune_cases import write_clip

LINKED = ("exp", "configs", "tools", "examples", "benchmarks", "projects", "paper_tables")
TREES = ("VIDEOS", "TREE", "FOLDER", "videos/real_actions")
CLIPS = ("video.mp4", "clip.mp4", "long.mp4", "V", "move_right/000001.mp4")
FOLDERS = ("NEW_VIDEOS", "clips")
RUNS = ("output/mine", "OUTPUT_DIR", "seed0", "seed1", "seed2", "output/seed0/mine", "output/seed1/mine", "output/seed2/mine")  # fmt: skip
CHECKPOINTS = ("CHECKPOINT", "IN", "checkpoint.pyth", "checkpoint_best.pyth", "output/checkpoints/checkpoint_best.pyth")  # fmt: skip

TINY_YAML = {
    "MODEL": {"BACKBONE": "vit"},
    "VIT": {"EMBED_DIM": 16, "DEPTH": 1, "NUM_HEADS": 2, "PATCH_SIZE": [1, 8, 8]},
}
"""What stands for exp/<name>/config.yaml of a full-size model."""


def furnish(folder: Path) -> None:
    """Everything that takes no training."""
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    for name in TREES:
        _videos(folder / name)
    for name in CLIPS:
        write_clip(folder / "made.mp4", 2, 0)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "made.mp4").rename(folder / name)
    for name in FOLDERS:
        for index in range(2):
            write_clip(folder / name / f"{index}.mp4", index, index)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY_YAML))
    (folder / "THEIRS.yaml").write_text(yaml.safe_dump({"MODEL": {"ARCH": "uniformer"}}))
    for name, write in WRITERS.items():
        (folder / "data" / name).mkdir(parents=True)
        write(folder / "data" / name)
    for name, other in {"kinetics400": "k400", "gym99": "finegym"}.items():
        (folder / "data" / other).symlink_to(name)
    (folder / "data/finegym/clips").symlink_to(".")


def finish(folder: Path) -> None:
    """The names of runs and checkpoints, once `runs/mine` is there."""
    run = folder / "runs/mine"
    for name in RUNS:
        if not (folder / name).exists():
            shutil.copytree(run, folder / name)
    for name in CHECKPOINTS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(run / "checkpoints/checkpoint_best.pyth")
    _trajectory_weights(folder)


def run_python(folder: Path, page: str, namespace: dict | None = None) -> dict:
    """Write the named YAML files of a page and run its Python blocks in order; gives their names."""
    for name, text in yaml_files(page).items():
        (folder / name).write_text(text)
    names = {"__name__": "page", **(namespace or {})}
    for path, line, code in python_blocks():
        if path == page:
            exec(compile("\n" * (line - 1) + code, str(ROOT / path), "exec"), names)
    return names


def _trajectory_weights(folder: Path) -> None:
    from slowfast_ext.config import load_config
    from slowfast_ext.models import build_model

    model = build_model(load_config([str(ROOT / "exp/motion_vit_trajectory/config.yaml")], []))
    torch.save({"model_state": model.state_dict()}, folder / "trajectory.pyth")


def _videos(tree: Path) -> None:
    for split, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("fall", "walk")):
            for index in range(count):
                write_clip(tree / split / name / f"{index}.mp4", label, index)
