"""TEST: multi-view testing."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "TEST",
        "Multi-view testing",
        (
            Key("ENABLE", True, "test after training"),
            Key("DATASET", "kinetics", "name of the test set in the DATASETS registry"),
            Key(
                "BATCH_SIZE",
                8,
                "videos per step on one node, shared by its processes",
                unit="videos",
                low=1,
            ),
            Key("VIEW_BATCH", 16, "views per forward pass", unit="views", low=1),
            Key(
                "CHECKPOINT_FILE_PATH",
                "",
                "weights to test; empty: the newest checkpoint of OUTPUT_DIR, best: its best",
            ),
            Key("NUM_ENSEMBLE_VIEWS", 10, "clips in time per video", unit="clips", low=1),
            Key(
                "NUM_SPATIAL_CROPS",
                3,
                "crops per clip along the longer side; 1: centre",
                unit="crops",
                choices=(1, 2, 3),
            ),
            Key(
                "PRECISION",
                "fp32",
                "autocast precision of evaluation",
                choices=("fp32", "bf16", "fp16"),
            ),
            Key(
                "ENSEMBLE",
                "probs",
                "what is averaged over views: softmax probabilities or logits",
                choices=("probs", "logits"),
            ),
            Key(
                "METRIC",
                "top1_acc",
                "validation figure that chooses the best checkpoint; map: mean average precision of multi-label sets",
                choices=("top1_acc", "mean_class_acc", "map"),
            ),
            Key(
                "ON_DECODE_ERROR",
                "wrong",
                "a video that cannot be decoded: stop, leave it out, or count it as wrong",
                choices=("error", "skip", "wrong"),
            ),
        ),
    ),
)
