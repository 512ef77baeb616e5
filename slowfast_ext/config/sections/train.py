"""TRAIN: the training loop, its checkpoints and its numerics."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "TRAIN",
        "Training",
        (
            Key("ENABLE", True, "train the model"),
            Key("DATASET", "kinetics", "name of the training set in the DATASETS registry"),
            Key(
                "BATCH_SIZE",
                64,
                "videos per forward pass on one node, shared by its processes",
                unit="videos",
                low=1,
            ),
            Key(
                "ACCUMULATE",
                1,
                "forward passes per optimizer step; equals a larger batch but for BatchNorm statistics",
                unit="passes",
                low=1,
            ),
            Key("EVAL_PERIOD", 5, "evaluate every so many epochs", unit="epochs", low=1),
            Key("CHECKPOINT_PERIOD", 1, "checkpoint every so many epochs", unit="epochs", low=1),
            Key(
                "CHECKPOINT_STEPS",
                0,
                "checkpoint every so many steps inside an epoch; 0: off",
                unit="steps",
                low=0,
            ),
            Key(
                "CHECKPOINT_MINUTES",
                0.0,
                "checkpoint when this long has passed since the last; 0: off",
                unit="min",
                low=0,
            ),
            Key(
                "KEEP_CHECKPOINTS",
                3,
                "newest checkpoints that are kept beside the best; 0: all",
                low=0,
            ),
            Key("AUTO_RESUME", True, "go on from the newest sound checkpoint in OUTPUT_DIR"),
            Key("CHECKPOINT_FILE_PATH", "", "weights to start from (.pyth, .pth, .safetensors)"),
            Key(
                "CHECKPOINT_SOURCE",
                "auto",
                "whose names the weights file uses; auto: recognised from the keys",
            ),
            Key(
                "CHECKPOINT_EPOCH_RESET",
                False,
                "start at epoch 0 with a fresh optimizer though the file holds both",
            ),
            Key(
                "CHECKPOINT_INFLATE",
                "",
                "how 2-D kernels become 3-D ones: mean over time, or centre slice",
                choices=("", "mean", "centre"),
            ),
            Key(
                "CHECKPOINT_CHANGED",
                [],
                "differences that are allowed when loading: head (classes), time (frames), space (resolution), new (parameters the file lacks), unused (tensors the model lacks)",
            ),
            Key(
                "PRECISION",
                "fp32",
                "autocast precision of the forward pass",
                choices=("fp32", "bf16", "fp16"),
            ),
            Key("COMPILE", False, "torch.compile the model"),
            Key(
                "CHANNELS_LAST",
                False,
                "keep convolution weights and activations in channels_last_3d",
            ),
            Key(
                "MAX_BAD_STEPS",
                10,
                "non-finite steps in a row before training stops",
                unit="steps",
                low=1,
            ),
            Key(
                "EMA_DECAY",
                0.0,
                "decay of the moving average of weights that is evaluated; 0: off",
                low=0,
                high=1,
            ),
            Key("FREEZE", [], "regular expressions of parameter names that are not trained"),
            Key("BALANCED_SAMPLING", False, "draw classes equally often"),
            Key(
                "CLASS_WEIGHTS",
                "none",
                "weight of a class in the loss; inverse: by 1/frequency, mean one",
                choices=("none", "inverse"),
            ),
        ),
    ),
)
