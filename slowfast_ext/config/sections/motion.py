"""MOTION: the built-in data set MotionShapes."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "MOTION",
        "MotionShapes, the data set that is rendered on first use (TRAIN.DATASET motionshapes)",
        (
            Key(
                "LEVEL",
                "easy",
                "easy: still camera, large motions; hard: moving camera, light, distractors, compression",
                choices=("easy", "hard"),
            ),
            Key("NUM_TRAIN", 3600, "training clips, classes in turn", unit="clips", low=12),
            Key("NUM_VAL", 360, "validation clips, classes in turn", unit="clips", low=12),
            Key("SIZE", 64, "side of the square video, even", unit="px", low=16),
            Key("NUM_FRAMES", 16, "frames of a file, at 12 a second", unit="frames", low=2),
            Key("SEED", 0, "seed of the set; same settings, same pixels", low=0),
        ),
    ),
)
