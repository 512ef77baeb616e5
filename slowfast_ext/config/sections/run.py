"""Top-level keys: the run as a whole, and where it executes."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "",
        "The run as a whole",
        (
            Key("OUTPUT_DIR", "./output", "folder for checkpoints, logs and results"),
            Key("RNG_SEED", 0, "seed of all randomness; same seed, same run", low=0),
            Key("LOG_PERIOD", 10, "log every so many steps", unit="steps", low=1),
            Key(
                "DEVICE",
                "auto",
                "where to run; auto takes CUDA if there is any",
                choices=("auto", "cpu", "cuda"),
            ),
            Key(
                "NUM_GPUS",
                1,
                "processes on this node, one a GPU (on a CPU-only machine: one a CPU worker); -1: every GPU there is",
                low=-1,
            ),
            Key(
                "NUM_SHARDS",
                1,
                "nodes of the job; under torchrun or Slurm taken from the environment",
                unit="nodes",
                low=1,
            ),
            Key("SHARD_ID", 0, "index of this node", low=0),
            Key(
                "DIST_BACKEND",
                "auto",
                "torch.distributed backend; auto: nccl on CUDA, gloo on CPU",
                choices=("auto", "nccl", "gloo"),
            ),
            Key(
                "DIST_TIMEOUT",
                600,
                "longest wait of a collective before the job fails",
                unit="s",
                low=1,
            ),
            Key("DETERMINISTIC", False, "ask torch for deterministic kernels (slower on CUDA)"),
        ),
    ),
    Section(
        "TENSORBOARD",
        "TensorBoard event files",
        (Key("ENABLE", True, "write event files to OUTPUT_DIR/tensorboard"),),
    ),
)
