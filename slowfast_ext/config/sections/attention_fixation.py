"""ATTENTION.FIXATION: channels of queries and keys weighed before attention."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.FIXATION",
        "Feature fixation, for any pattern and kernel",
        (
            Key(
                "MODE",
                "none",
                "weights of q and k each from itself (separate) or from one another (cooperative)",
                choices=("none", "separate", "cooperative"),
            ),
            Key("TARGETS", "qkv", "what cooperative weights are made from", choices=("qk", "qkv")),
            Key("SHARED", True, "the same cooperative weights for q and k"),
            Key(
                "COMBINE",
                "concat",
                "how the targets are joined",
                choices=("concat", "add", "multiply"),
            ),
            Key("LAYERS", 2, "linear layers of the weighing, with ReLU between", choices=(1, 2)),
        ),
    ),
)
