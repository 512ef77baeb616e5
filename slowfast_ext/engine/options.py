"""Options of a run: the top level, TRAIN and TEST. Those of a component stand beside it."""

from dataclasses import dataclass

from slowfast_ext.options import Options, option, section


@section("", "The run as a whole")
@dataclass(frozen=True)
class RunOptions(Options):
    """Where a run computes and writes, its seed and its processes."""

    import_: tuple[str, ...] = option(
        (),
        "Python files that are run first: they register attention, backbones, data sets, tasks or metrics",
        key="IMPORT",
    )
    output_dir: str = option("./output", "folder for checkpoints, logs and results")
    rng_seed: int = option(0, "seed of all randomness; same seed, same run", low=0)
    log_period: int = option(10, "log every so many steps", unit="steps", low=1)
    device: str = option(
        "auto", "where to run; auto takes CUDA if there is any", choices=("auto", "cpu", "cuda")
    )
    num_gpus: int = option(
        1,
        "processes on this node, one a GPU (on a CPU-only machine: one a CPU worker); -1: every GPU there is",
        low=-1,
    )
    num_shards: int = option(
        1,
        "nodes of the job; under torchrun or Slurm taken from the environment",
        unit="nodes",
        low=1,
    )
    shard_id: int = option(0, "index of this node", low=0)
    dist_backend: str = option(
        "auto",
        "torch.distributed backend; auto: nccl on CUDA, gloo on CPU",
        choices=("auto", "nccl", "gloo"),
    )
    dist_timeout: int = option(
        600, "longest wait of a collective before the job fails", unit="s", low=1
    )
    deterministic: bool = option(False, "ask torch for deterministic kernels (slower on CUDA)")
    matmul_precision: str = option(
        "highest",
        "products of fp32 matrices: highest is fp32; high is TF32 on an NVIDIA GPU, several times faster there, with 10 bits after the point; medium may be bf16",
        choices=("highest", "high", "medium"),
    )


@section("TRAIN", "Training")
@dataclass(frozen=True)
class TrainOptions(Options):
    """Batches, checkpoints, precision and start of a training."""

    enable: bool = option(True, "train the model")
    dataset: str = option("kinetics", "name of the training set in the DATASETS registry")
    batch_size: int = option(
        64, "videos per forward pass on one node, shared by its processes", unit="videos", low=1
    )
    accumulate: int = option(
        1,
        "forward passes per optimizer step; equals a larger batch but for BatchNorm statistics",
        unit="passes",
        low=1,
    )
    eval_period: int = option(5, "evaluate every so many epochs", unit="epochs", low=1)
    checkpoint_period: int = option(1, "checkpoint every so many epochs", unit="epochs", low=1)
    checkpoint_steps: int = option(
        0, "checkpoint every so many steps inside an epoch; 0: off", unit="steps", low=0
    )
    checkpoint_minutes: float = option(
        0.0, "checkpoint when this long has passed since the last; 0: off", unit="min", low=0
    )
    keep_checkpoints: int = option(
        3, "newest checkpoints that are kept beside the best; 0: all", low=0
    )
    auto_resume: bool = option(True, "go on from the newest sound checkpoint in OUTPUT_DIR")
    checkpoint_file_path: str = option(
        "",
        "weights to start from: a file (.pyth, .pth, .safetensors), a name of slowfast-ext weights, a link, or exp:NAME, what "
        "another experiment has trained",
    )
    from_scratch: bool = option(
        False, "start from random weights although CHECKPOINT_FILE_PATH names others"
    )
    precision: str = option(
        "fp32", "autocast precision of the forward pass", choices=("fp32", "bf16", "fp16")
    )
    compile: bool | str = option(
        False,
        "torch.compile the model: True as a whole, blocks one block for all that are alike, which takes seconds instead of minutes",
        choices=(False, True, "blocks"),
        types=(bool, str),
    )
    sharding: str = option(
        "none",
        "what each process holds of the model: none: all of it; fsdp: a part of every parameter, its gradient, its optimizer state and its moving average, for models beyond the memory of a GPU",
        choices=("none", "fsdp"),
    )
    channels_last: bool = option(
        False, "keep convolution weights and activations in channels_last_3d"
    )
    max_bad_steps: int = option(
        10, "non-finite steps in a row before training stops", unit="steps", low=1
    )
    ema_decay: float = option(
        0.0, "decay of the moving average of weights that is evaluated; 0: off", low=0, high=1
    )
    freeze: tuple[str, ...] = option(
        (), "regular expressions of parameter names that are not trained"
    )
    balanced_sampling: bool = option(False, "draw classes equally often")


@section("TEST", "Multi-view testing")
@dataclass(frozen=True)
class TestOptions(Options):
    """Batches, precision and weights of an evaluation."""

    enable: bool = option(True, "test after training")
    dataset: str = option("kinetics", "name of the test set in the DATASETS registry")
    batch_size: int = option(
        8, "videos per step on one node, shared by its processes", unit="videos", low=1
    )
    view_batch: int = option(16, "views per forward pass", unit="views", low=1)
    checkpoint_file_path: str = option(
        "",
        "weights to test, named as TRAIN.CHECKPOINT_FILE_PATH names them; empty: the newest checkpoint of OUTPUT_DIR, best: its best",
    )
    precision: str = option(
        "fp32", "autocast precision of evaluation", choices=("fp32", "bf16", "fp16")
    )


@section("DATA", "Videos, clips and views")
@dataclass(frozen=True)
class ReadErrorOptions(Options):
    """How many unreadable videos a run goes on with."""

    max_bad_share: float = option(
        0.01, "largest share of unreadable training videos before training stops", low=0, high=1
    )
