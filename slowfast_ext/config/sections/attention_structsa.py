"""ATTENTION.STRUCTSA: attention that recognises structures in the correlation map."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.STRUCTSA",
        "Structural self-attention (StructViT), the variant `struct`",
        (
            Key(
                "D",
                4,
                "structures that are told apart; 1: convolutional projections (ConvSA)",
                low=1,
            ),
            Key(
                "KERNEL",
                [3, 3, 3],
                "extent of a structure, odd: time, rows, columns",
                unit="tokens",
                length=3,
                low=1,
            ),
            Key(
                "STRIDE",
                1,
                "every so many rows and columns of keys and values (StructViT-x-x-2: 2)",
                unit="tokens",
                low=1,
            ),
            Key(
                "AGGREGATION",
                "context",
                "what a structure collects: the values around a position, or its own value",
                choices=("context", "element"),
            ),
            Key(
                "SHARED",
                False,
                "one set of structures for all channels, as in the paper's equations",
            ),
        ),
    ),
)
