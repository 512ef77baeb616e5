"""What a test does with each command that a page shows: run it small, or say why it cannot run here.

The first rule whose pattern matches the start of a command counts. A command that no rule matches fails the test.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

NO_LOADER = ["DATA_LOADER.NUM_WORKERS", "0", "TENSORBOARD.ENABLE", "False", "NUM_GPUS", "1"]
UNIFORMER = [
    "UNIFORMER.EMBED_DIM", "[8,8,16,16]", "UNIFORMER.HEAD_DIM", "8", "UNIFORMER.DEPTH", "[1,1,1,1]",
]  # fmt: skip
CLIP = [
    "DATA.NUM_FRAMES", "4", "DATA.SAMPLING_RATE", "1", "DATA.TRAIN_CROP_SIZE", "32", "DATA.TEST_CROP_SIZE", "32",
    "DATA.TRAIN_JITTER_SCALES", "[32,36]",
]  # fmt: skip
SHORT = ["TRAIN.BATCH_SIZE", "2", "TEST.BATCH_SIZE", "2", "SOLVER.MAX_EPOCH", "1", "SOLVER.WARMUP_EPOCHS", "0"]  # fmt: skip
VIEWS = ["TEST.NUM_ENSEMBLE_VIEWS", "1", "TEST.NUM_SPATIAL_CROPS", "1"]
SMALL_RUN = [*CLIP, *SHORT, *VIEWS, *NO_LOADER]
MOTION = [
    "MOTION.NUM_TRAIN", "24", "MOTION.NUM_VAL", "12", "TRAIN.BATCH_SIZE", "12", "SOLVER.MAX_EPOCH", "1",
    "SOLVER.WARMUP_EPOCHS", "0", "TRAIN.EVAL_PERIOD", "1", *NO_LOADER,
]  # fmt: skip
FINETUNE = ["--epochs", "1", *UNIFORMER, "DATA.NUM_FRAMES", "4", "DATA.TRAIN_CROP_SIZE", "[32,32]",
            "DATA.TEST_CROP_SIZE", "[32,32]", *VIEWS, *NO_LOADER, "LOG_PERIOD", "1"]  # fmt: skip


SOME_CLASS = "(fall|walk|move|turn|circle|approach)"
"""In the names of own videos' classes, or of MotionShapes'."""


@dataclass(frozen=True)
class Run:
    """A command that is run: `replace` changes its text first (patterns), `tail` is appended.

    `says` is found in what it prints, `writes` are files (patterns) that are there afterwards, `needs` is a page whose
    Python is run first.
    """

    pattern: str
    tail: Sequence[str] = ()
    replace: dict[str, str] = field(default_factory=dict)
    says: str = ""
    writes: Sequence[str] = ()
    needs: str = ""


RUN = [
    Run(r"bash exp/motion_uniformer_joint/run.sh --dry-run", MOTION, says="whole run: .* epochs"),
    Run(
        r"bash exp/motion_uniformer_joint/run.sh",
        MOTION,
        says="best",
        writes=["output/motion_uniformer_joint/checkpoints/checkpoint_best.pyth"],
    ),
    Run(
        r"bash exp/motion_uniformer_joint/test.sh",
        MOTION,
        says="top1",
        writes=["output/motion_uniformer_joint/results/metrics.json"],
    ),
    Run(
        r"bash exp/uniformer_s16x4_k400/run.sh",
        [*UNIFORMER, *SMALL_RUN, "MODEL.NUM_CLASSES", "400", "TRAIN.FROM_SCRATCH", "True"],
        says="best",
        writes=["output/uniformer_s16x4_k400/checkpoints/*.pyth"],
    ),
    Run(
        r"bash exp/uniformer_s16x4_k400/test.sh",
        [*UNIFORMER, *SMALL_RUN],
        writes=["output/uniformer_s16x4_k400/results/metrics.json"],
    ),
    Run(r"slowfast-ext finetune", FINETUNE, replace={"videos/real_actions --out output/real_actions|TREE$": "VIDEOS --out runs/mine"}, says=r"result: .*% of \d+ validation videos right", writes=["{--out}/report.html"]),
    Run(r"slowfast-ext predict .*--window", replace={"--window 2 --stride 0.5": "--window 0.2 --stride 0.1"}, says="written: ", writes=["out/*.srt", "{--render}"]),
    Run(r"slowfast-ext predict .*--out", writes=["{--out}"]),
    Run(r"slowfast-ext predict --weights \S+ (NEW_VIDEOS|video.mp4|clip.mp4)", replace={"output/real_actions": "runs/mine"}, says=rf"{SOME_CLASS}.* \d+\.\d %|\d+\.\d % .*{SOME_CLASS}"),
    Run(r"slowfast-ext features", writes=["features/index.csv", "features/*.safetensors"]),
    Run(r"slowfast-ext report .*--out", writes=["{--out}"]),
    Run(r"slowfast-ext report|python tools/report.py", replace={r"OUTPUT_DIR\.\.\.": "output/mine", "output/real_actions": "runs/mine"}, says=r"report\.html"),
    Run(r"slowfast-ext compare|python tools/compare.py", replace={r"OUTPUT_ROOT\.\.\.": "runs"}, says="top1_acc|mine|seed"),
    Run(r"(slowfast-ext train|(\S*python )?tools/run_net.py) --explain (?P<key>\S+)", says="SOLVER|ATTENTION|DATA|TOKEN_LABELS"),
    Run(r"slowfast-ext train --cfg exp/NAME/config.yaml --dry-run", MOTION, replace={"NAME": "motion_uniformer_joint"}, says="whole run: .* epochs"),
    Run(r"slowfast-ext train --cfg OUTPUT_DIR/config.yaml", NO_LOADER, writes=["again/checkpoints/*.pyth"]),
    Run(r"slowfast-ext train --cfg exp/motion_vit_joint/config.yaml IMPORT", [*MOTION, "OUTPUT_DIR", "pooled"], writes=["pooled/results/metrics.json"]),
    Run(r"slowfast-ext data check", ["MOTION.NUM_TRAIN", "24", "MOTION.NUM_VAL", "12", "OUTPUT_DIR", "checked"], replace={"NAME": "motion_uniformer_joint"}, says="usable videos"),
    Run(r"slowfast-ext data pack", replace={"/data/ssv1/frames": "/data/ssv1"}, says="are in data/ssv1_packed", writes=["data/ssv1_packed/pack.sqlite", "data/ssv1_packed/*.tar"]),
    Run(r"slowfast-ext train --cfg exp/NAME/config.yaml .*_packed", [*SMALL_RUN, "OUTPUT_DIR", "packed{number}"], replace={"exp/NAME/config.yaml": "configs/data/ssv1.yaml tiny.yaml"}, says="best validation: top1"),
    Run(r"python tools/data.py check", says="usable videos", writes=["out/data/report_train.tsv", "out/data/clean/*.csv"]),
    Run(r"python tools/data.py (stats|transcode|browse|pack)", [*SMALL_RUN, "OUTPUT_DIR", "looked_at"], says="picture: |copied; set DATA.PATH_PREFIX|DATA.PATH_PREFIX|browse_0.png"),
    Run(r"slowfast-ext profile", ["--no-time"], replace={"NAME": "motion_uniformer_joint"}, says=r"parameters +\d"),
    Run(r"slowfast-ext convert --cfg exp/NAME/config.yaml IN OUT", replace={"exp/NAME/": "runs/mine/"}, says="written: ", writes=["OUT"]),
    Run(r"slowfast-ext visualize", writes=["{--html}"]),
    Run(r"python tools/visualize.py --cfg matching.yaml", needs="docs/visualize.md", writes=["pictures/*.png"]),
    Run(r"(python )?tools/visualize.py --cfg exp/motion_vit_trajectory", replace={"CHECKPOINT": "trajectory.pyth"}, writes=["pictures/*.png"]),
    Run(r"slowfast-ext export --weights", ["--out", "exported.onnx"], replace={r"output/checkpoints/checkpoint_best\.pyth": "CHECKPOINT"}, says="error", writes=["exported.onnx"]),
    Run(r"(slowfast-ext lists|tools/make_lists.py) TREE LISTS", replace={"tools/make_lists.py": "slowfast-ext lists"}, says="train with: ", writes=["LISTS/train.csv", "LISTS/classes.txt"]),
    Run(r"slowfast-ext migrate .*--out", writes=["OURS.yaml"], says="keys differ"),
    Run(r"slowfast-ext migrate", says="the program's own, without a key"),
    Run(r"slowfast-ext weights (list|where)", says=r"licence|names; here: in"),
    Run(r"slowfast-ext doctor", ["--quick"], says="fit for training"),
    Run(r"(python )?tools/run_net.py --cfg configs/data/", [*SMALL_RUN, "OUTPUT_DIR", "published{number}"], replace={r"exp/<name>/config.yaml": "tiny.yaml"}, says="top1|map|action"),
    Run(r"bash exp/(my_experiment|<name>)/run.sh$", MOTION, replace={"my_experiment|<name>": "motion_uniformer_joint"}, says="best"),
    Run(r"bash exp/my_experiment/test.sh", MOTION, replace={"my_experiment": "motion_uniformer_joint"}, says="top1"),
    Run(r"python docs/pictures/who_meets_whom.py", ["--out", "who.png"], writes=["who.png"]),
    Run(r"bash exp/motion_vit_joint/run.sh", [*MOTION, "SOLVER.MAX_EPOCH", "5", "TRAIN.EVAL_PERIOD", "5"], writes=["output/motion_vit_joint/checkpoints/*.pyth"]),
    Run(r"OUTPUT_ROOT=output/easy/seed\$seed bash exp/motion_uniformer_small_\$name/run.sh", MOTION, replace={r"\$seed": "0", r"\$name": "joint"}, writes=["output/easy/seed0/*/stats.jsonl"]),
    Run(r"OUTPUT_ROOT=output/hard/seed\$seed bash exp/motion_uniformer_small_\$name/run.sh", MOTION, replace={r"\$seed": "0", r"\$name": "emim"}, writes=["output/hard/seed0/*/stats.jsonl"]),
    Run(r"bash exp/motion_vit_frames_pretrain/run.sh", MOTION, writes=["output/motion_vit_frames_pretrain/checkpoints/checkpoint_best.pyth"]),
    Run(r"OUTPUT_ROOT=output/frames/seed\$seed bash exp/motion_vit_frames_\$name/run.sh", MOTION, replace={r"\$seed": "0", r"\$name": "trajectory"}, writes=["output/frames/seed0/*/stats.jsonl"]),
    Run(r"python docs/pictures/learning_curves.py", ["--out", "curves.png"], writes=["curves.png"]),
    Run(r"OUTPUT_ROOT=output/seed\$seed bash exp/motion_vit_\$name/\$script.sh", [*MOTION, "RNG_SEED", "0"], replace={r"\$seed": "0", r"\$name": "divided", r"\$script": "run"}),
    Run(r"slowfast-ext train --cfg (FILE|exp/NAME/config.yaml) --print-cfg", replace={"NAME": "motion_vit_joint", "FILE": "exp/motion_vit_joint/config.yaml"}, says="SOLVER.BASE_LR: "),
]  # fmt: skip

NOT_RUN = {
    r"docker ": "no docker here; tests/test_docs_container.py reads the Dockerfile",
    r"mkdocs build": "tests/test_docs_pages.py builds the site into a scratch folder",
    r"slowfast-ext data label-maps|bash exp/uniformer_s_tl_in1k/run.sh": "tests/tasks/test_label_maps_command.py makes label maps and trains with them",
    r"python examples/record_first_minutes.py": "writes a page, in as many minutes as it tells",
    r"bash tools/setup.sh|PYTHON=\S+ bash tools/setup.sh|PIP_ARGS=": "makes an environment from the package index: the first step of .ci/run",
    r"source .venv/bin/activate": "that environment",
    r"pip install": "changes the environment; tests/test_package.py installs the wheel",
    r"pre-commit install": "changes the checkout",
    r"\S*python -m pytest|bash .ci/run": "runs these tests",
    r"torchrun ": "tests/engine/test_commands.py starts the processes with its environment",
    r"sbatch ": "no Slurm here; tests/test_launch.py plays it",
    r"bash exp/<name>/run.sh NUM_GPUS|MASTER_ADDR=": "several processes and nodes: tests/engine/test_commands.py",
    r"slowfast-ext (push|pull) ": "a hub; tests/test_sharing.py uploads to and fetches from a small one",
    r"python -m benchmarks": "measures for minutes; tests/benchmarks run each on small sizes",
    r"python -m paper_tables": "counts models for minutes; tests/tools/test_paper_tables.py makes the pages from kept counts",
    r"python projects/lra/run.py": "tests/lra/test_lra_training.py runs it on short sequences",
    r"python examples/(evaluate_checkpoint|train_on_folder).py": "tests/test_examples.py runs both on small sizes",
    r"slowfast-ext test --weights": "public weights; tests/engine/test_public_weights.py tests small files of each layout",
    r"slowfast-ext predict --model": "public weights; tests/predict runs the same on small ones",
    r"slowfast-ext export --model": "public weights",
    r"slowfast-ext convert --cfg \S+ --to videomae": "public weights of another layout; tests/tools/test_convert_weights.py converts small ones",
    r"(OUTPUT_ROOT=\S+ )?bash exp/motion_videomae": "tests/engine/test_end_to_end.py pre-trains and finetunes",
    r"python tools/visualize.py --cfg exp/motionformer_ssv2": "a full-size model on 16 x 224 x 224; the other pages draw small ones",
}
"""Command -> why it is only parsed here: its file exists, its options and keys are known."""

SYNOPSIS = re.compile(r"(?<!\")[\[{|]|\.\.($|\s)|\.\.\.|\bNAME\b(?!/)")
"""A form rather than a command: `[--out FILE]`, `{check,stats}`, `FILE...`; a list in quotes is a value."""


MENTION = r"(slowfast-ext|(python )?tools/\w+\.py)( [a-z]+)?( --[a-z-]+ \w+)?"
"""The name of a command inside a sentence."""


def run_rule(text: str) -> Run | None:
    """The rule that runs a command, if any."""
    return next((rule for rule in RUN if re.match(rule.pattern, text)), None)


def reason(text: str) -> str | None:
    """Why a command is not run, if that is known."""
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, text)), None)
