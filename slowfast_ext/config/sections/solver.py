"""SOLVER: optimizer and learning-rate schedule."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "SOLVER",
        "Optimizer and schedule",
        (
            Key("OPTIMIZING_METHOD", "adamw", "optimizer", choices=("adamw", "sgd")),
            Key("BASE_LR", 1e-4, "learning rate after warm-up", low=0),
            Key(
                "BASE_LR_SCALE_NUM_SHARDS",
                False,
                "multiply BASE_LR, WARMUP_START_LR and COSINE_END_LR by NUM_SHARDS",
            ),
            Key(
                "BASE_LR_BATCH",
                0,
                "batch that BASE_LR is meant for: the rate is scaled linearly to the effective batch; 0: not scaled",
                unit="clips",
                low=0,
            ),
            Key(
                "LR_POLICY",
                "cosine",
                "how the rate falls",
                choices=("cosine", "linear", "steps_with_relative_lrs"),
            ),
            Key("COSINE_END_LR", 0.0, "rate at the end of the cosine or the line", low=0),
            Key(
                "COSINE_AFTER_WARMUP",
                True,
                "cosine or line start after the warm-up instead of under it",
            ),
            Key("STEPS", [0], "epochs at which the rate steps", unit="epochs"),
            Key("LRS", [1.0], "rate in each step, relative to BASE_LR"),
            Key("MAX_EPOCH", 100, "length of training", unit="epochs", low=1),
            Key(
                "WARMUP_EPOCHS",
                0.0,
                "linear rise from WARMUP_START_LR, per step",
                unit="epochs",
                low=0,
            ),
            Key("WARMUP_START_LR", 0.0, "rate at step 0 of the warm-up", low=0),
            Key("WEIGHT_DECAY", 0.05, "decay of weights", low=0),
            Key(
                "ZERO_WD_1D_PARAM",
                True,
                "no decay on biases, norms and other 1-D parameters (PySlowFast's key)",
            ),
            Key("MOMENTUM", 0.9, "SGD momentum", low=0, high=1),
            Key("NESTEROV", True, "SGD with Nesterov momentum"),
            Key("BETAS", [0.9, 0.999], "AdamW betas", length=2, low=0, high=1),
            Key("EPS", 1e-8, "AdamW: added to the root of the second moment", low=0),
            Key("CLIP_GRAD_L2NORM", 0.0, "largest global gradient norm; 0: off", low=0),
            Key(
                "LAYER_DECAY",
                1.0,
                "factor of the rate per block counted from the head; 1: off",
                low=0,
                high=1,
            ),
            Key(
                "FUSED",
                True,
                "fused optimizer kernels; without them each step waits for the device to know that it is finite",
            ),
        ),
    ),
)
