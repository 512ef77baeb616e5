"""LRA: Long Range Arena (tools/lra.py). An epoch of SOLVER is one optimizer step there."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "LRA",
        "Long Range Arena: a small encoder of long sequences (tools/lra.py)",
        (
            Key("TASK", "listops", "name in the TASKS registry"),
            Key(
                "DATA_DIR",
                "datasets/lra",
                "folder of the official files and of the generated sets",
            ),
            Key("SEED", 0, "seed of the generated sets; same settings, same set", low=0),
            Key("NUM_TRAIN", 96000, "generated training sequences", unit="sequences", low=1),
            Key("NUM_VAL", 2000, "generated validation sequences", unit="sequences", low=1),
            Key("NUM_TEST", 2000, "generated test sequences", unit="sequences", low=1),
            Key("WORKERS", 1, "processes that generate a set; the set is the same", low=1),
            Key("DIM", 64, "width of the encoder", unit="channels", low=1),
            Key("DEPTH", 2, "layers of the encoder", low=1),
            Key("NUM_HEADS", 2, "heads of each layer", low=1),
            Key("HIDDEN", 128, "hidden width of the MLPs and of the head", unit="channels", low=1),
            Key("DROPOUT", 0.1, "dropout of the embedding and in the MLPs", low=0, high=1),
            Key(
                "EVAL_PERIOD",
                50,
                "evaluate on the validation set every so many steps; the best weights are tested",
                unit="steps",
                low=1,
            ),
        ),
    ),
    Section(
        "LRA.LISTOPS",
        "Generated expressions of the task listops",
        (
            Key("MIN_LENGTH", 500, "expressions are longer", unit="tokens", low=1),
            Key("MAX_LENGTH", 2000, "expressions are shorter", unit="tokens", low=4),
        ),
    ),
    Section(
        "LRA.PATHFINDER",
        "Generated images of the task pathfinder",
        (Key("CONTOUR", 14, "dashes of each of the two curves", unit="dashes", low=3),),
    ),
)
