"""ATTENTION.PERFORMER: softmax attention through random features."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.PERFORMER",
        "The performer kernel (FAVOR+)",
        (
            Key("FEATURES", 256, "random features of a head (LARA's baseline: 64)", low=1),
            Key(
                "VARIANT",
                "shared",
                "shared: features shared by heads (Motionformer); per_head: LARA's baseline",
                choices=("shared", "per_head"),
            ),
            Key(
                "REDRAW",
                "step",
                "features in training: drawn at every step, or fixed; evaluation uses fixed ones",
                choices=("step", "never"),
            ),
        ),
    ),
)
