"""VIT: the plain vision transformer on space-time tokens."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "VIT",
        "Vision transformer (ViT, DeiT, TimeSformer, Motionformer)",
        (
            Key("PATCH_SIZE", [2, 16, 16], "token size", unit="frames, px, px", length=3, low=1),
            Key("EMBED_DIM", 768, "width", unit="channels", low=1),
            Key("DEPTH", 12, "blocks", low=1),
            Key("NUM_HEADS", 12, "heads", low=1),
            Key("MLP_RATIO", 4.0, "hidden width of the MLP over the width", low=0),
            Key("QKV_BIAS", True, "bias of the query, key and value projection"),
            Key(
                "POS_EMBED",
                "separate",
                "position embedding: one table for space and one for time, or one joint table",
                choices=("separate", "joint"),
            ),
            Key(
                "POS_CROP_SIZE",
                0,
                "crop the spatial position table is made for, resized to any other; 0: the training crop",
                unit="px",
                low=0,
            ),
            Key(
                "POOL",
                "cls",
                "what the head reads: a cls token, or (without one) the mean of all tokens",
                choices=("cls", "mean"),
            ),
            Key("POS_DROPOUT", 0.0, "dropout after the position embedding", low=0, high=1),
            Key(
                "PRE_LOGITS",
                "none",
                "a D -> D layer with this activation before the head",
                choices=("none", "tanh", "gelu", "relu"),
            ),
            Key("LAYER_NORM_EPS", 1e-6, "epsilon of the layer norms", low=0),
        ),
    ),
)
