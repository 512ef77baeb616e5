"""Vision transformers whose weights are public: VideoMAE, TimeSformer, ViViT, InternVideo2, V-JEPA 2.

Cases hold `state/`, `in/x`, `out/logits`, and as far as they go `aux/`, `grad/`; the published `cfg` tells the sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from golden.cases import Case
from golden.compare import Differences
from golden.models import DOUBLE, GRADIENT, LOGITS, TOKENS, head_of, load, there_and_back
from slowfast_ext.analysis.cost import cost_of
from slowfast_ext.models import MaskedAutoencoder, VideoModel
from slowfast_ext.models.attention import AttentionOptions, Grid
from slowfast_ext.models.backbones import BackboneSpec
from slowfast_ext.models.backbones.vit import VisionTransformer, VitOptions
from slowfast_ext.models.layers import run_blocks
from slowfast_ext.models.weights import WEIGHTS, LoadOptions, fit_weights
from slowfast_ext.models.weights.classes import class_rows, known_orders
from slowfast_ext.tasks.masked import MaskedOptions

VIDEOMAE = VitOptions(pos_embed="sincos", pool="mean_norm")
TIMESFORMER = VitOptions(pos_resize="nearest")
VIVIT = VitOptions(pos_embed="joint", activation="gelu_tanh")
INTERNVIDEO = VitOptions(
    pos_embed="joint",
    pool="attention",
    pool_norm_eps=1e-5,
    qkv_bias=False,
    norm="rms",
    layer_scale=1e-5,
)
VJEPA = VitOptions(pos_embed="none", pool="probe", pool_norm_eps=1e-5)


@dataclass(frozen=True)
class Family:
    """Its importer, the parts of its transformer, and the names of its classifier and of its sizes."""

    source: str
    vit: VitOptions
    attention: AttentionOptions = AttentionOptions()
    head: str = "head"
    tokens: Callable[[Tensor, Grid], Tensor] = lambda x, grid: x


DIVIDED = AttentionOptions(("timesformer",))
FAMILIES = {
    "videomae": Family("videomae", VIDEOMAE),
    "videomae2": Family("videomae", VIDEOMAE),
    "videomae_pretrain": Family("videomae", VIDEOMAE),
    "hf_videomae": Family("videomae_hub", replace(VIDEOMAE, pool_norm_eps=1e-5), head="classifier"),
    "timesformer": Family("timesformer", TIMESFORMER, DIVIDED, "model.head"),
    "hf_timesformer": Family("timesformer_hub", TIMESFORMER, DIVIDED, "classifier"),
    "hf_vivit": Family("vivit_hub", VIVIT, head="classifier"),
    "internvideo2": Family("internvideo2", INTERNVIDEO, AttentionOptions(qk_norm="rms")),
    "vjepa2": Family("vjepa2", VJEPA, AttentionOptions(rotary=True), "classifiers.0.module.linear"),
    "hf_vjepa2": Family(
        "vjepa2_hub",
        replace(VJEPA, pool_norm_eps=1e-6),
        AttentionOptions(rotary=True),
        "classifier",
    ),
}


def is_public(case: Case) -> bool:
    """Cases name their program as their kind."""
    return case.facts.get("kind") in FAMILIES and "in/x" in case.keys


def check_public(case: Case) -> Differences:
    """Every tensor loaded and written back, tokens, feature, logits and gradients in single and in double precision."""
    found, family = Differences(), FAMILIES[case.facts["kind"]]
    state = case.part("state/")
    if "out/pixels" in case.tensors:
        _check_masked(case, family, state, found)
    new = case.part("new/")
    model = build(case, family, state | new)
    changed = LoadOptions(changed=("new",) if new else ())
    report = load(model, state, family.source, found, changed)
    found.equal("parameters without a tensor", len(report.new), len(new))
    if new:
        model.load_state_dict(WEIGHTS.get(family.source).to_ours(new, model), strict=False)
    used = WEIGHTS.get(family.source).to_theirs(model.state_dict(), model)
    if not report.idle:
        there_and_back(model, state, family.source, found)
    else:
        _check_written(used, state | new, found)
    for dtype in (torch.float32, torch.float64):
        _run(case, family, model.to(dtype), found, str(dtype))
    return found


def build(case: Case, family: Family, state: dict[str, Tensor]) -> VideoModel:
    """The model of a case, made for the clips that its position tables are made for."""
    facts = case.facts.get("cfg_finetune", case.facts["cfg"])
    cfg, probe = facts.get("encoder", facts), facts.get("classifier", {})
    options, (frames, size) = replace(family.vit, **sizes(cfg, probe)), clip_of(cfg)
    attention = family.attention
    if not cfg.get("qk_normalization", True):
        attention = replace(attention, qk_norm="none")
    backbone = VisionTransformer(BackboneSpec(frames, size, attention), options)
    classes = state.get(f"{family.head}.weight")
    head = head_of(state, backbone.feature_dim, [family.head])
    assert classes is not None
    return VideoModel(backbone, head)


def sizes(cfg: dict, probe: dict) -> dict[str, object]:
    """VIT's options by the names that the programs have for them."""

    def first(*names: str, otherwise: Any = None) -> Any:
        return next((cfg[name] for name in names if name in cfg), otherwise)

    patch, tubelet = (
        first("patch_size"),
        first("tubelet_size", otherwise=2 if "encoder_depth" in cfg else 1),
    )
    dim = first("embed_dim", "hidden_size", "encoder_embed_dim")
    ratio = first("mlp_ratio") or first("intermediate_size") / dim
    found = {
        "patch_size": tuple(tubelet) if isinstance(tubelet, list) else (tubelet, patch, patch),
        "embed_dim": dim,
        "depth": first("depth", "num_hidden_layers", "encoder_depth"),
        "num_heads": first("num_heads", "num_attention_heads", "encoder_num_heads"),
        "mlp_ratio": float(ratio),
        "layer_norm_eps": first("layer_norm_eps", otherwise=1e-6),
        "qkv_bias": first("qkv_bias", otherwise=True),
        "layer_scale": float(first("init_values", otherwise=0.0) or 0.0),
        "pool_heads": probe.get("num_heads") or first("attn_pool_num_heads", otherwise=0),
        "pool_dim": first("clip_embed_dim", otherwise=0),
        "pool_depth": probe.get("depth", first("num_pooler_layers", otherwise=0) + 1) - 1,
    }
    if "hidden_act" in cfg:
        found["activation"] = "gelu" if cfg["hidden_act"] == "gelu" else "gelu_tanh"
    return found


def clip_of(cfg: dict) -> tuple[int, tuple[int, int]]:
    """Frames and (height, width) that a model is made for."""
    keys = ("all_frames", "num_frames", "frames_per_clip")
    frames = next((cfg[key] for key in keys if key in cfg), 16)
    size = next(cfg[k] for k in ("img_size", "image_size", "crop_size") if k in cfg)
    return frames, (size, size) if isinstance(size, int) else tuple(size)


def _check_written(
    written: dict[str, Tensor], state: dict[str, Tensor], found: Differences
) -> None:
    """What is written of a file with idle tensors is the rest of it, but for a prefix."""
    theirs = {key.removeprefix("encoder."): x for key, x in state.items()}
    missing = [
        key for key, x in written.items() if key not in theirs or not torch.equal(x, theirs[key])
    ]
    found.equal("written as read", missing, [])


def _run(case: Case, family: Family, model: VideoModel, found: Differences, what: str) -> None:
    exact = what.endswith("64")
    tokens, logits = (DOUBLE, DOUBLE) if exact else (TOKENS, LOGITS)
    clip = case.tensors["in/x"].to(next(model.parameters()).dtype, copy=True).requires_grad_()
    with torch.no_grad():
        for name, value in intermediates(case, model, clip):
            expected = case.tensors[name]
            found.compare(f"{what} {name}", value.reshape(expected.shape), expected, tokens)
    output = model(clip)
    found.compare(f"{what} logits", output, case.tensors["out/logits"], logits)
    if "in/grad_out" in case.tensors:
        model.zero_grad()
        (output * case.tensors["in/grad_out"]).sum().backward()
        ours = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        theirs = WEIGHTS.get(family.source).to_theirs(ours, model) | {"x": clip.grad}
        for name, expected in case.part("grad/").items():
            found.compare(f"{what} gradient {name}", theirs[name], expected, GRADIENT)


def intermediates(case: Case, model: VideoModel, clip: Tensor) -> list[tuple[str, Tensor]]:
    """Our numbers for the `aux/` tensors that the case has."""
    vit = model.backbone
    assert isinstance(vit, VisionTransformer)
    x_BNC, grid = vit.embed(clip)
    ours = {"aux/tokens_in": x_BNC, "aux/ft_tokens": None, "aux/patches": x_BNC}
    if "in/mask" in case.tensors:
        ours |= _encoder(case, vit, x_BNC, grid)
    for index, block in enumerate(vit.blocks):
        x_BNC = block(x_BNC, grid)
        ours[f"aux/block{index}_out"] = ours[f"aux/block{index}_out_tmajor"] = x_BNC
    ours["aux/ft_tokens"] = x_BNC
    if "aux/block0_out_tmajor" in case.tensors:  # the other order of tokens is that of the program
        ours = {
            k: x for k, x in ours.items() if not (k.startswith("aux/block") and k.endswith("_out"))
        }
    if case.facts["kind"] == "hf_timesformer":
        ours = {k: _space_major(x, grid) if "block" in k else x for k, x in ours.items()}
    ours["aux/tokens"] = vit.norm(x_BNC)
    pooled = vit.pool(vit.norm(vit.pool.tokens(x_BNC)))
    ours |= {"aux/pooled": pooled, "aux/feature": vit.fc_norm(pooled)}
    if "aux/logits_gelu_tanh" in case.tensors:
        ours["aux/logits_gelu_tanh"] = _with_tanh(model, clip)
    return [(name, x) for name, x in ours.items() if name in case.tensors]


def _encoder(case: Case, vit: VisionTransformer, x_BNC: Tensor, grid: Grid) -> dict[str, Tensor]:
    """The encoder before finetuning, with the norm that finetuning drops: of all tokens, and of those that are not hidden."""
    norm = nn.LayerNorm(x_BNC.shape[-1], eps=1e-6).to(x_BNC)
    norm.load_state_dict(case.part("state/encoder.norm."))
    visible = x_BNC[~case.tensors["in/mask"].bool()].unflatten(0, (len(x_BNC), -1))
    rows = Grid.placeless(visible.shape[1])
    return {
        "aux/encoder_all": norm(run_blocks(vit.blocks, x_BNC, grid)),
        "aux/encoder_visible": norm(run_blocks(vit.blocks, visible, rows)),
    }


def _check_masked(case: Case, family: Family, state: dict[str, Tensor], found: Differences) -> None:
    """The whole model of pre-training: every tensor there and back, and the pixels that it predicts under the mask."""
    cfg = case.facts["cfg"]
    vit = replace(family.vit, pool="mean", **sizes(cfg, {}))
    decoder = (cfg[f"decoder_{name}"] for name in ("embed_dim", "depth", "num_heads"))
    dim, depth, heads = decoder
    options = MaskedOptions(
        decoder_dim=dim,
        decoder_depth=depth,
        decoder_heads=heads,
        decoder_mlp_ratio=float(cfg["mlp_ratio"]),
    )
    backbone = VisionTransformer(BackboneSpec(*clip_of(cfg)), vit)
    model = MaskedAutoencoder(backbone, options).eval()
    report = load(model, state, family.source, found)
    found.equal("tensors for finetuning alone", [*report.new, *report.idle], [])
    there_and_back(model, state, family.source, found)
    mask_BN = case.tensors["in/mask"].bool()
    tokens = [torch.stack([row.nonzero()[:, 0] for row in rows]) for rows in (~mask_BN, mask_BN)]
    for dtype, allowed in ((torch.float32, TOKENS), (torch.float64, DOUBLE)):
        with torch.no_grad():
            output = model.to(dtype)(case.tensors["in/x"].to(dtype), *tokens)
        found.compare(f"{dtype} pixels", output.predicted, case.tensors["out/pixels"], allowed)


def _space_major(x_BNC: Tensor, grid: Grid) -> Tensor:
    """The class token, then the tokens position after position, each over time."""
    cls, patches = x_BNC.split([grid.prefix, grid.patches], dim=1)
    patches = patches.unflatten(1, (grid.t, grid.space)).transpose(1, 2).flatten(1, 2)
    return torch.cat([cls, patches], dim=1)


def _with_tanh(model: VideoModel, clip: Tensor) -> Tensor:
    """Logits with the tanh form of GELU in all blocks."""
    mlps = [block.mlp for block in model.backbone.blocks]
    for mlp in mlps:
        mlp.act = nn.GELU(approximate="tanh")
    logits = model(clip)
    for mlp in mlps:
        mlp.act = nn.GELU()
    return logits


def is_manifest(case: Case) -> bool:
    """A json with the keys and shapes of a whole file."""
    return case.path.suffix == ".json" and case.facts.get("program") in FAMILIES


def check_manifest(case: Case) -> Differences:
    """Every key finds its place in a model without data; parameters and multiply-adds are those that were counted."""
    found, facts = Differences(), case.facts
    family = FAMILIES[facts["program"]]
    state = {key: torch.empty(shape, device="meta") for key, shape in facts["keys"].items()}
    new = {f"{family.head}.weight": torch.empty(7, 1)} if family.head not in _heads(state) else {}
    with torch.device("meta"):
        model = build(case, family, state | new)
    options = LoadOptions(changed=("new",) if new else ())
    fitted, report = fit_weights(dict(state), model, options)
    found.equal("family of the weights", report.source, family.source)
    found.equal("parameters without a tensor", sorted(report.new), _expected_new(bool(new)))
    found.equal("tensors", len(report.loaded) + len(report.new), len(model.state_dict()))
    found.equal("changed tensors", [*report.unused, *report.resized, *report.head], [])
    idle = [key for key in report.idle if not key.startswith(IDLE)]
    found.equal("tensors that the model should have", idle, [])
    if not report.idle:
        back = WEIGHTS.get(family.source).to_theirs(fitted, model)
        found.equal("shapes there and back", _shapes(back), _shapes(state))
    if "input" in facts:
        cost = cost_of(model, torch.empty(facts["input"], device="meta"))
        unused = sum(x.numel() for key, x in state.items() if key in report.idle)
        found.compare(
            "parameters", torch.tensor(cost.params), torch.tensor(facts["n_params"] - unused), 0.01
        )
        found.compare(
            "GMACs", torch.tensor(cost.macs / 1e9), torch.tensor(facts["gmacs_counted"]), 0.01
        )
    return found


IDLE = ("decoder.", "encoder_to_decoder.", "mask_token", "backbone.norm.", "vjepa2.predictor.")


def _heads(state: dict[str, Tensor]) -> set[str]:
    return {key.removesuffix(".weight") for key in state}


def _expected_new(before_finetuning: bool) -> list[str]:
    names = ("backbone.fc_norm.bias", "backbone.fc_norm.weight", "head.bias", "head.weight")
    return list(names) if before_finetuning else []


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(x.shape) for key, x in state.items()}


def is_foreign(case: Case) -> bool:
    """A manifest of a model that the program has no backbone for."""
    return case.path.suffix == ".json" and str(case.facts.get("program", "")).startswith(
        ("mvit", "swin")
    )


def check_foreign(case: Case) -> Differences:
    """No importer takes it for its own."""
    shapes = {key: tuple(shape) for key, shape in case.facts["keys"].items()}
    found = Differences()
    found.equal("families", [name for name, importer in WEIGHTS if importer.recognise(shapes)], [])
    return found


def has_class_orders(case: Case) -> bool:
    """A json with the classes of Kinetics-710 and of the sets in it."""
    return case.path.suffix == ".json" and {"orders", "rows"} <= case.facts.keys()


def check_class_orders(case: Case) -> Differences:
    """The orders by name, and the rows of a Kinetics-710 head that a narrower one takes."""
    found, known = Differences(), known_orders()
    for name, order in case.facts["orders"].items():
        found.equal(name, list(known[name]), order)
    for count, rows in case.facts["rows"].items():
        found.equal(
            f"rows of k{count}", class_rows(known["k710"], known[f"k{count}"]).tolist(), rows
        )
    return found
