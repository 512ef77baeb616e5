"""ATTENTION.LINFORMER: keys and values mixed to a fixed number."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.LINFORMER",
        "The linformer kernel",
        (Key("DIM", 256, "mixtures that stand for the keys of a row", low=1),),
    ),
)
