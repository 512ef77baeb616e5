"""ATTENTION.LINEAR: kernels relu, elu, sigmoid and cosformer."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.LINEAR",
        "Kernels with an elementwise feature map (relu, elu, sigmoid, cosformer)",
        (
            Key("OFFSET", 0.0, "added to every feature (LARA's baselines: 0.1)", low=0),
            Key("CLAMP", 1e-6, "least normaliser of a row (LARA's baselines: 0.01)", low=0),
        ),
    ),
)
