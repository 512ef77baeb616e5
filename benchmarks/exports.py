"""What exports, to torch.export and to ONNX, from tiny models: every backbone x pattern, every kernel, options."""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from slowfast_ext.config import tree_of
from slowfast_ext.data.sampling import SamplingOptions
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.errors import ConfigError, ExportError
from slowfast_ext.export import export_model
from slowfast_ext.export_formats import FORMATS
from slowfast_ext.models import VideoModel, build_model
from slowfast_ext.models.attention import KERNELS, AttentionOptions
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.lara import LaraOptions
from slowfast_ext.models.attention.linformer import LinformerOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.attention.nystrom import NystromOptions
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.structsa import StructsaOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.backbones.uniformer import UniformerOptions
from slowfast_ext.models.backbones.uniformerv2 import UniformerV2Options
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XvitOptions
from slowfast_ext.models.blocks import attention_names
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.options import Options
from slowfast_ext.tasks.base import HeadOptions

FRAMES, SIDE, CLASSES = 4, 64, 5
FEW_TOKENS = (
    LaraOptions(landmarks=9),
    LinformerOptions(dim=5),
    NystromOptions(landmarks=8),
    OrthoformerOptions(landmarks=8),
    PerformerOptions(features=24),
)
TINY_VIT = partial(VitOptions, patch_size=(2, 16, 16), embed_dim=24, depth=2, num_heads=3)
TINY: Mapping[str, tuple[Options, ...]] = {
    "vit": (TINY_VIT(),),
    "xvit": (TINY_VIT(), XvitOptions(consensus_heads=3, consensus_dim=16)),
    "uniformer": (UniformerOptions(embed_dim=(8, 8, 16, 16), depth=(1, 1, 1, 1), head_dim=8),),
    "uniformerv2": (
        UniformerV2Options(
            embed_dim=24,
            depth=2,
            num_heads=3,
            local_attention="double",
            global_layers=(0, 1),
            global_heads=3,
        ),
    ),
}
"""Options of every backbone for two or four narrow blocks on a clip of 4 x 64 x 64."""
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


@dataclass(frozen=True)
class Case:
    """A tiny model: `parts` are options over those that suit few tokens."""

    backbone: str
    pattern: str = "joint"
    kernel: str = "softmax"
    attention: Callable[..., AttentionOptions] = AttentionOptions
    parts: tuple[Options, ...] = ()

    def build(self, classes: int | tuple[int, ...] = CLASSES) -> VideoModel:
        """The model, with no parameter at zero: branches that start there would hide their errors."""
        kinds = {type(own) for own in self.parts}
        narrow = TINY.get(self.backbone) or [own() for own in BACKBONES.options(self.backbone)]
        usual = [own for own in (*FEW_TOKENS, *narrow) if type(own) not in kinds]
        cfg = tree_of(
            ModelOptions(backbone=self.backbone, init_std=0.1),
            HeadOptions(num_classes=classes),
            SamplingOptions(num_frames=FRAMES),
            CropOptions(train_crop_size=SIDE, test_crop_size=SIDE),
            self.attention(cycle=(self.pattern,), kernel=self.kernel),
            *usual,
            *self.parts,
        )
        torch.manual_seed(0)
        model = build_model(cfg)
        model.config = cfg
        return shaken(model)


OPTIONS: Mapping[str, Case] = {
    "`ATTENTION.REFERENCE`, trajectory": Case(
        "vit", "trajectory", attention=partial(AttentionOptions, reference=True)
    ),
    "`ATTENTION.QK_NORM` rms, `ROTARY`": Case(
        "vit", attention=partial(AttentionOptions, qk_norm="rms", rotary=True)
    ),
    "`FIXATION` cooperative, `NEIGHBOUR`, relu": Case(
        "vit",
        kernel="relu",
        parts=(FixationOptions(mode="cooperative"), NeighbourOptions(temporal=True, spatial=True)),
    ),
    "`TRAJECTORY` space_time, projected": Case(
        "vit", "trajectory", parts=(TrajectoryOptions(norm="space_time", values="projected"),)
    ),
    "`TRAJECTORY.TEMPORAL` average": Case(
        "vit", "trajectory", parts=(TrajectoryOptions(temporal="average"),)
    ),
    "`STRUCTSA` stride 2, element, shared": Case(
        "uniformer",
        "struct",
        parts=(StructsaOptions(stride=2, aggregation="element", shared=True),),
    ),
    "`EMIM` 3 x 3, 32 channels": Case(
        "uniformer", "emim", parts=(EmimOptions(window=(3, 3), context_channels=32),)
    ),
    "`ORTHOFORMER` random": Case(
        "vit",
        kernel="orthoformer",
        parts=(OrthoformerOptions(landmarks=8, selection="random"),),
    ),
    "`ORTHOFORMER` a set a frame, half of the queries, trajectory": Case(
        "vit",
        "trajectory",
        "orthoformer",
        parts=(OrthoformerOptions(landmarks=4, share_time=False, subsample=0.5),),
    ),
    "`NYSTROM.CONV` 5": Case("vit", kernel="nystrom", parts=(NystromOptions(landmarks=8, conv=5),)),
    "`LARA` 1d, mis-bh": Case(
        "vit", kernel="lara", parts=(LaraOptions(landmarks=9, pool="1d", estimator="mis-bh"),)
    ),
    "`PERFORMER.VARIANT` per_head": Case(
        "vit", kernel="performer", parts=(PerformerOptions(features=24, variant="per_head"),)
    ),
    "`VIT.POOL` attention": Case("vit", parts=(TINY_VIT(pool="attention"),)),
    "`VIT.POOL` probe": Case("vit", parts=(TINY_VIT(pool="probe", pool_depth=1),)),
    "`VIT` positions of another size, root mean square norm": Case(
        "vit", parts=(TINY_VIT(pos_crop_size=96, norm="rms", layer_scale=0.1),)
    ),
}


def main(argv: Sequence[str]) -> int:
    """Tables in Markdown: the maximum error of each as a share of the largest output, or why it does not export."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks exports", description=__doc__)
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="replace the tables between its two marks"
    )
    args = parser.parse_args(argv)
    text = "\n\n".join(tables())
    print(text)
    if args.write:
        page = args.write.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        args.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    return 0


def tables() -> Iterator[str]:
    """Of patterns, of kernels, of options."""
    backbones, kernels = BACKBONES.names(), KERNELS.names()
    yield table(
        ["pattern", *backbones],
        ([name, *(cell(Case(own, name)) for own in backbones)] for name in attention_names()),
    )
    yield table(
        ["kernel", "joint", "trajectory"],
        (
            [name, *(cell(Case("vit", pattern, name)) for pattern in ("joint", "trajectory"))]
            for name in kernels
        ),
    )
    yield table(
        ["option", "backbone", "error"],
        ([name, case.backbone, cell(case)] for name, case in OPTIONS.items()),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def cell(case: Case) -> str:
    """Of all formats, one after the other."""
    return " / ".join(outcome(case, name) for name in FORMATS)


def outcome(case: Case, kind: str) -> str:
    """The maximum error, or the reason."""
    clips = torch.randint(256, (4, FRAMES, SIDE, SIDE, 3), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = case.build()
            return f"{export_model(model, Path(folder, f'm.{kind}'), clips=clips).error:.0e}"
        except (ConfigError, ExportError) as error:
            return str(error).partition("not written: ")[2] or str(error)


def shaken(model: VideoModel) -> VideoModel:
    """Noise on every parameter, and statistics of batch norms that are not those of the start."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean = 0.1 * torch.randn(module.num_features)
                module.running_var = 0.5 + torch.rand(module.num_features)
    return model
