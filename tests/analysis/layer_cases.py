"""Small layers and blocks to look at, by the names of ATTENTION.CYCLE and the keys of ATTENTION."""

from slowfast_ext.models.attention import (
    ATTENTION,
    AttentionOptions,
    AttentionSpec,
    Grid,
    build_attention,
)
from slowfast_ext.models.blocks import BlockSpec, build_block
from slowfast_ext.options import keys_of, sections

# Grids of a plain sequence of frames, of one class token, of a class token a frame; none with even sides.
GRIDS = {
    "bare": Grid(3, 3, 5),
    "cls": Grid(3, 3, 5, prefix=1),
    "framewise": Grid(3, 3, 5, prefix=3, framewise=True),
}


def build_layer(name, grid, dim=48, heads=3, **keys):
    """An attention layer, or a block; `keys` are those of ATTENTION, dots written as double underscores."""
    spec = AttentionSpec(dim, heads, grid, attention=attention_options(**keys))
    return build_attention(name, spec) if name in ATTENTION else build_block(name, BlockSpec(spec))


def attention_options(**keys):
    chosen = {AttentionOptions: {}}
    for dotted, value in keys.items():
        *parents, leaf = ["ATTENTION", *dotted.split("__")]
        (own,) = (section for section in sections() if section.name == ".".join(parents))
        ((kind, field),) = (
            (kind, key.field) for kind in own.classes for key in keys_of(kind) if key.name == leaf
        )
        chosen.setdefault(kind, {})[field] = value
    top = chosen.pop(AttentionOptions)
    return AttentionOptions(**top, parts=tuple(kind(**values) for kind, values in chosen.items()))
