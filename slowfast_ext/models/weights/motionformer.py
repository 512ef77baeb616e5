"""Motionformer checkpoints: joint, divided and trajectory attention, one classifier or EPIC's two.

Every file holds an embedder of images and one of tubelets, of which its model uses one; files with a joint
position table also hold a spatial one; trajectory attention holds a key bias without effect and, but for
ATTENTION.TRAJECTORY.VALUES projected, a value projection that is never used. These are `idle`.
"""

import torch

from slowfast_ext.models.build import VideoModel
from slowfast_ext.models.weights.base import WEIGHTS, Importer, Shapes, State, rename
from slowfast_ext.models.weights.vit import (
    KERNEL,
    TO_OURS,
    TO_THEIRS,
    is_vit,
    resize_positions,
    vit_of,
    with_time_axis,
)

_OF_CLIPS = ("patch_embed_3d.proj.weight", "temp_embed", "st_embed")


@WEIGHTS.register("motionformer")
class MotionformerImporter(Importer):
    """Keys `patch_embed`, `patch_embed_3d`, `blocks`, `norm`, `pre_logits`, `head` or `head0` and `head1`."""

    @staticmethod
    def recognise(shapes: Shapes) -> bool:
        """A ViT with an embedder of tubelets, or positions in time."""
        return is_vit(shapes) and any(key in shapes for key in _OF_CLIPS)

    @staticmethod
    def to_ours(state: State, model: VideoModel) -> State:
        """Joint keys and values of trajectories are separated; a 2-D embedder gets a temporal axis."""
        used = {key: x for key, x in state.items() if not MotionformerImporter.idle(key, model)}
        ours = rename(used, (*_own_names(model), *TO_OURS))
        idle = {key: x for key, x in state.items() if key not in used}
        return with_time_axis(_split_keys_and_values(ours)) | idle

    @staticmethod
    def to_theirs(state: State, model: VideoModel) -> State:
        """The inverse; what our model lacks of keys and values is zero, other idle tensors are as to_ours left them."""
        ours = {key: x for key, x in state.items() if key.startswith(("backbone.", "head."))}
        idle = {key: x for key, x in state.items() if key not in ours}
        ours = _join_keys_and_values(ours)
        if _embeds_images(model):
            ours |= {KERNEL: ours[KERNEL].squeeze(2)}
        return rename(ours, (*TO_THEIRS, *_their_names(model))) | idle

    @staticmethod
    def idle(name: str, model: VideoModel) -> bool:
        """See the module's docstring."""
        tables = ("pos_embed", "temp_embed") if _is_joint(model) else ("st_embed",)
        embedder = "patch_embed_3d." if _embeds_images(model) else "patch_embed."
        trajectory = ".proj_v." in name or name.endswith("proj_k.bias")
        return name in tables or name.startswith(embedder) or trajectory

    resize = staticmethod(resize_positions)


def _is_joint(model: VideoModel) -> bool:
    return vit_of(model).temp_embed is None


def _embeds_images(model: VideoModel) -> bool:
    return vit_of(model).patch_embed.patch[0] == 1


def _own_names(model: VideoModel) -> list[tuple[str, str]]:
    rules = [(r"^head0\.", "head.verb."), (r"^head1\.", "head.noun.")]
    rules += [(r"^st_embed$", "pos_embed")] if _is_joint(model) else []
    return rules + ([] if _embeds_images(model) else [(r"^patch_embed_3d\.", "patch_embed.")])


def _their_names(model: VideoModel) -> list[tuple[str, str]]:
    rules = [(r"^head\.verb\.", "head0."), (r"^head\.noun\.", "head1.")]
    rules += [(r"^pos_embed$", "st_embed")] if _is_joint(model) else []
    return rules + ([] if _embeds_images(model) else [(r"^patch_embed\.", "patch_embed_3d.")])


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
        biased = f"{layer}.qkv.bias" in state
        for kind, like in (("weight", state[name]), ("bias", state[name][:, 0]))[: 1 + biased]:
            zero = torch.zeros_like(like)
            halves = [state.get(f"{layer}.proj_{part}.{kind}", zero) for part in "kv"]
            joined[f"{layer}.proj_kv.{kind}"] = torch.cat(halves)
    return joined
