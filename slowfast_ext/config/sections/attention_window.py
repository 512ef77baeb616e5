"""ATTENTION.WINDOW and ATTENTION.MIXING: patterns that reach into the neighbouring frames."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.WINDOW",
        "The window pattern",
        (Key("REACH", 1, "frames seen on each side", unit="frames", low=0),),
    ),
    Section(
        "ATTENTION.MIXING",
        "The mixing pattern: XViT's temporal shift of keys and values",
        (
            Key(
                "SHIFT_DIV",
                8,
                "1/SHIFT_DIV of the channels comes from the next frame, as many from the previous",
                low=2,
            ),
            Key(
                "NUM_SEGMENTS",
                0,
                "frames of a group that exchange channels (XViT on Kinetics: 8 of 16); 0: the whole clip",
                unit="frames",
                low=0,
            ),
        ),
    ),
)
