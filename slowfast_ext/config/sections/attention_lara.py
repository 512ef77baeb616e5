"""ATTENTION.LARA: linear randomised attention."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.LARA",
        "The lara kernel (LARA, RALA)",
        (
            Key(
                "LANDMARKS",
                49,
                "landmarks of a row (2-D: the next smaller square)",
                low=1,
            ),
            Key(
                "POOL",
                "2d",
                "landmarks are means of pieces of the row (1d), or a grid averaged over time (2d)",
                choices=("1d", "2d"),
            ),
            Key("PROJECT", True, "a learned linear layer and layer norm make the landmarks"),
            Key("MIXED", True, "softmax attention among the key landmarks"),
            Key(
                "ESTIMATOR",
                "mis-opt",
                "weights of multiple importance sampling",
                choices=("mis-opt", "mis-bh", "mis-biased"),
            ),
            Key("ALPHA", 1.0, "weight of the query-specific part of mis-opt (ImageNet 2.0)", low=0),
        ),
    ),
)
