"""UNIFORMER: convolution blocks, then attention blocks, in four stages."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "UNIFORMER",
        "UniFormer and its descendants (EMIM, StructViT)",
        (
            Key(
                "EMBED_DIM",
                [64, 128, 320, 512],
                "width of each stage",
                unit="channels",
                length=4,
                low=1,
            ),
            Key("DEPTH", [3, 4, 8, 3], "blocks of each stage", length=4, low=1),
            Key("HEAD_DIM", 64, "width of a head", unit="channels", low=1),
            Key("MLP_RATIO", 4.0, "hidden width of the MLP over the width", low=0),
            Key("QKV_BIAS", True, "bias of the query, key and value projection"),
            Key(
                "TEMPORAL_STRIDE",
                2,
                "stride in time of the first patch embedding (2 UniFormer, 1 EMIM)",
                unit="frames",
                choices=(1, 2),
            ),
            Key(
                "LAYER_SCALE",
                0.0,
                "initial scale of the residual branches of attention blocks; 0: no layer scale",
                low=0,
            ),
            Key(
                "STD",
                False,
                "patch embeddings 2 to 4 also span three frames (kernel 3,2,2 instead of 1,2,2)",
            ),
            Key(
                "IMAGE",
                False,
                "kernels of temporal size one: the 2-D models of ImageNet, for DATA.NUM_FRAMES 1",
            ),
            Key("POS_DROPOUT", 0.0, "dropout after the first patch embedding", low=0, high=1),
        ),
    ),
)
