"""Motionformer checkpoints: joint, divided and trajectory attention, one classifier or EPIC's two.

Every file holds an embedder of images and one of tubelets, of which its model uses one; files with a joint
position table also hold a spatial one; trajectory attention holds a key bias without effect and, but for
ATTENTION.TRAJECTORY.VALUES projected, a value projection that is never used. These are `idle`.
"""

import math

import torch
from torch import Tensor
from yacs.config import CfgNode

from slowfast_ext.models.attention import ATTENTION, variant_of_block
from slowfast_ext.models.backbones.vit import token_sides
from slowfast_ext.models.backbones.vit_embed import resize_space, resize_time
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Resized, Shapes, State, rename
from slowfast_ext.tasks.base import class_counts

POSITIONS = "backbone.embed.pos_embed"
TIME = "backbone.embed.time_embed"
KERNEL = "backbone.embed.tubelets.weight"

_OF_CLIPS = ("patch_embed_3d.proj.weight", "temp_embed", "st_embed")
_ONE_HEAD = {"head": "head.classifiers.0"}
_TWO_HEADS = {"head0": "head.classifiers.0", "head1": "head.classifiers.1"}
_ANY_HEAD = _ONE_HEAD | _TWO_HEADS
_MLP = {"norm2": "mlp.norm", "mlp": "mlp.layer"}
_ONE_STEP = {"norm1": "attn.norm", "attn": "attn.layer"}
_TWO_STEPS = {
    "norm3": "attn.time_norm",
    "timeattn": "attn.time",
    "norm1": "attn.space_norm",
    "attn": "attn.space",
}


@WEIGHTS.register("motionformer")
class MotionformerImporter(Importer):
    """Keys `patch_embed`, `patch_embed_3d`, `blocks`, `norm`, `pre_logits`, `head` or `head0` and `head1`."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A ViT with an embedder of tubelets, or positions in time."""
        return is_vit(shapes) and any(key in shapes for key in _OF_CLIPS)

    @staticmethod
    def to_ours(state: State, cfg: CfgNode) -> State:
        """Joint keys and values of trajectories are separated; a 2-D embedder gets a temporal axis."""
        ours = rename(state, _ANY_HEAD | _prefixes(cfg))
        return with_time_axis(_split_keys_and_values(ours))

    @staticmethod
    def to_theirs(state: State, cfg: CfgNode) -> State:
        """The inverse; what our model lacks of keys and values is zero, other idle tensors are left out."""
        state = _join_keys_and_values(state)
        if cfg.VIT.PATCH_SIZE[0] == 1:
            state = state | {KERNEL: state[KERNEL].squeeze(2)}
        return rename(state, {ours: theirs for theirs, ours in _prefixes(cfg).items()})

    @staticmethod
    def idle(name: str, cfg: CfgNode) -> bool:
        """See the module's docstring."""
        tables = ("pos_embed", "temp_embed") if cfg.VIT.POS_EMBED == "joint" else ("st_embed",)
        embedder = "patch_embed_3d." if cfg.VIT.PATCH_SIZE[0] == 1 else "patch_embed."
        values = cfg.ATTENTION.TRAJECTORY.VALUES == "original" and ".proj_v." in name
        return name in tables or name.startswith(embedder) or values or name.endswith("proj_k.bias")

    @staticmethod
    def resize(name: str, tensor: Tensor, shape: tuple[int, ...], cfg: CfgNode) -> Resized | None:
        """See resize_positions."""
        return resize_positions(name, tensor, shape, cfg)


def is_vit(shapes: Shapes) -> bool:
    """Whether these are the keys of a vision transformer of images or clips, at top level."""
    embedder = "patch_embed.proj.weight" in shapes or "patch_embed_3d.proj.weight" in shapes
    return embedder and "blocks.0.attn.qkv.weight" in shapes


def block_prefixes(cfg: CfgNode) -> dict[str, str]:
    """Their prefix -> ours, for the blocks of a ViT with any attention of one step, or of time and space."""
    names = {}
    for index in range(cfg.VIT.DEPTH):
        variant = variant_of_block(cfg.ATTENTION, index)
        names |= prefixes_of_block(f"blocks.{index}", f"backbone.blocks.{index}", variant)
    return names


def prefixes_of_block(theirs: str, ours: str, variant: str) -> dict[str, str]:
    """Their prefix -> ours, for one block, whose attention is `variant`."""
    parts = _MLP | (_TWO_STEPS if ATTENTION.get(variant).composite else _ONE_STEP)
    return {f"{theirs}.{part}": f"{ours}.{our_part}" for part, our_part in parts.items()}


def with_time_axis(state: State) -> State:
    """2-D patch kernels [C, 3, p, p] as [C, 3, 1, p, p]."""
    kernel = state.get(KERNEL)
    return state if kernel is None or kernel.ndim == 5 else state | {KERNEL: kernel.unsqueeze(2)}


def resize_positions(
    name: str, tensor: Tensor, shape: tuple[int, ...], cfg: CfgNode
) -> Resized | None:
    """Bicubic in space, from a square; linear in time, from one row: repeated. A joint table in one of both."""
    if name == TIME:
        return Resized(resize_time(tensor, shape[1]), "time")
    if name != POSITIONS:
        return None
    t, h, w = token_sides(cfg, cfg.VIT.POS_CROP_SIZE)
    t = t if cfg.VIT.POS_EMBED == "joint" else 1
    prefix, patches = tensor.tensor_split([shape[1] - t * h * w], dim=1)
    side = math.isqrt(patches.shape[1] // t)
    if patches.shape[1] % (h * w) == 0:
        frames = patches.unflatten(1, (-1, h * w)).flatten(2)
        resized, change = resize_time(frames, t).unflatten(2, (h * w, -1)), "time"
    elif patches.shape[1] == t * side**2:
        resized = resize_space(patches.unflatten(1, (t, side, side)), h, w).flatten(2, 3)
        change = "space"
    else:
        return None
    return Resized(torch.cat([prefix, resized.flatten(1, 2)], dim=1), change)


def _prefixes(cfg: CfgNode) -> dict[str, str]:
    joint = cfg.VIT.POS_EMBED == "joint"
    embedder = "patch_embed.proj" if cfg.VIT.PATCH_SIZE[0] == 1 else "patch_embed_3d.proj"
    two_heads = len(class_counts(cfg)) > 1
    return {
        "cls_token": "backbone.embed.cls_token",
        **({"st_embed": POSITIONS} if joint else {"pos_embed": POSITIONS, "temp_embed": TIME}),
        embedder: "backbone.embed.tubelets",
        **block_prefixes(cfg),
        "norm": "backbone.norm",
        "pre_logits.fc": "backbone.pre_logits.0",
        **(_TWO_HEADS if two_heads else _ONE_HEAD),
    }


def _split_keys_and_values(state: State) -> State:
    split: State = {}
    for name, tensor in state.items():
        if ".proj_kv." in name:
            names = (name.replace(".proj_kv.", f".proj_{part}.") for part in "kv")
            split |= dict(zip(names, tensor.chunk(2), strict=True))
        else:
            split[name] = tensor
    return split


def _join_keys_and_values(state: State) -> State:
    joined = {k: x for k, x in state.items() if ".proj_k." not in k and ".proj_v." not in k}
    for name in [key for key in state if key.endswith(".proj_k.weight")]:
        layer = name.removesuffix(".proj_k.weight")
        for kind, like in (("weight", state[name]), ("bias", state[name][:, 0])):
            halves = [state.get(f"{layer}.proj_{part}.{kind}") for part in "kv"]
            halves = [torch.zeros_like(like) if half is None else half for half in halves]
            joined[f"{layer}.proj_kv.{kind}"] = torch.cat(halves)
    return joined
