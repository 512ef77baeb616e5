"""XVIT: what XViT has beyond VIT, whose keys it reads too."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "XVIT",
        "XViT: a ViT with a class token a frame (its sizes: VIT; its mixing: ATTENTION.MIXING)",
        (
            Key(
                "TIME_ROWS",
                0,
                "rows of the temporal table, used over again in longer clips (XViT: 8); 0: one a frame",
                low=0,
            ),
            Key(
                "CONSENSUS",
                "vit",
                "the frames' class tokens become one feature by a small transformer or as their mean",
                choices=("vit", "avg"),
            ),
            Key("CONSENSUS_DEPTH", 1, "blocks of the consensus transformer", low=1),
            Key("CONSENSUS_HEADS", 12, "heads of the consensus transformer", low=1),
            Key(
                "CONSENSUS_DIM",
                768,
                "width of the hidden layer after it, which the classifier reads",
                unit="channels",
                low=1,
            ),
            Key(
                "FRAME_DROPOUT",
                0.0,
                "dropout of each frame's class token at the end",
                low=0,
                high=1,
            ),
        ),
    ),
)
