"""Which kind a case is: by its tensors first, by kind and name where these leave it open."""

from collections.abc import Callable
from dataclasses import dataclass

from golden.cases import Case
from golden.compare import Differences
from golden.functions import (
    check_inverse,
    check_nystrom,
    check_orthoformer,
    check_performer,
    check_shift,
)
from golden.modules import check_emim, check_module, check_structsa
from golden.motionformer import check_motionformer
from golden.pipeline import TABLES, check_tables, check_testpipe
from golden.public import (
    check_class_orders,
    check_foreign,
    check_public,
    has_class_orders,
    is_foreign,
    is_public,
)
from golden.public import check_manifest as check_public_manifest
from golden.public import is_manifest as is_public_manifest
from golden.uniformer import check_inflate, check_stem, check_uniformer
from golden.uniformerv2 import check_manifest, check_uniformerv2
from golden.xvit import check_xvit


@dataclass(frozen=True)
class Kind:
    """Recognised by `fits`, compared by `check`."""

    name: str
    fits: Callable[[Case], bool]
    check: Callable[[Case], Differences]


def _has(*keys: str) -> Callable[[Case], bool]:
    return lambda case: all(
        any(key == k or (k[-1] in "./" and key.startswith(k)) for key in case.keys) for k in keys
    )


def _named(word: str) -> Callable[[Case], bool]:
    return lambda case: _has("in/q", "in/k", "in/v", "out/y")(case) and word in case.words()


KINDS = [
    Kind("public transformer", is_public, check_public),
    Kind("manifest of a public transformer", is_public_manifest, check_public_manifest),
    Kind("manifest of another model", is_foreign, check_foreign),
    Kind("class orders", has_class_orders, check_class_orders),
    Kind("inflated UniFormer", _has("sd2d."), check_inflate),
    Kind(
        "UniFormer", _has("sd.patch_embed1.proj.weight", "sd.head.weight", "input"), check_uniformer
    ),
    Kind("stem of UniFormer", _has("sd.patch_embed1.proj.weight", "stage1", "input"), check_stem),
    Kind(
        "UniFormerV2",
        _has("state/backbone.transformer.temporal_cls_token", "in/x"),
        check_uniformerv2,
    ),
    Kind(
        "manifest of UniFormerV2",
        lambda case: case.facts.get("program") == "uniformerv2" and "keys" in case.facts,
        check_manifest,
    ),
    Kind("EMIM attention", _has("sd.rpb", "input"), check_emim),
    Kind("StructSA", _has("sd.uk.weight", "input"), check_structsa),
    Kind(
        "test crops",
        lambda case: any(key.startswith("frames") for key in case.keys) and "crop0" in case.keys,
        check_testpipe,
    ),
    Kind("XViT", _has("state/base_model.cls_token", "in/x"), check_xvit),
    Kind(
        "Motionformer",
        _has("state/cls_token", "state/blocks.0.attn.qkv.weight", "in/x"),
        check_motionformer,
    ),
    Kind("module", _has("state/", "in/x", "out/y"), check_module),
    Kind("inverse", _has("in/A"), check_inverse),
    Kind("orthoformer", _has("in/start_idx", "in/q"), check_orthoformer),
    Kind("performer", _has("in/W", "in/q"), check_performer),
    Kind("nystrom", _named("nystrom"), check_nystrom),
    Kind(
        "shift", lambda case: _has("in/x", "out/y")(case) and "shift" in case.words(), check_shift
    ),
    Kind(
        "tables",
        lambda case: case.path.suffix == ".json" and bool(TABLES.keys() & case.facts.keys()),
        check_tables,
    ),
]


def kind_of(case: Case) -> Kind:
    """The first that fits."""
    kind = next((kind for kind in KINDS if kind.fits(case)), None)
    if kind is None:
        said = case.facts.get("kind", "none stated")
        raise AssertionError(
            f"{case.path.name}: of no kind known here (kind: {said}; tensors: {', '.join(sorted(case.keys)[:12]) or 'none'})"
        )
    return kind
