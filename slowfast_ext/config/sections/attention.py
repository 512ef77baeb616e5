"""ATTENTION: which tokens meet, and how scores become weights."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION",
        "Attention of every block",
        (
            Key(
                "CYCLE", ["joint"], "attention variants that repeat through the depth of each stage"
            ),
            Key("KERNEL", "softmax", "name in the KERNELS registry"),
            Key("REFERENCE", False, "plain twin instead of the fast form (slow; for checks)"),
            Key("DROPOUT", 0.0, "dropout of the attention weights", low=0, high=1),
            Key("PROJ_DROPOUT", 0.0, "dropout after the output projection", low=0, high=1),
        ),
    ),
)
