"""ATTENTION.TRAJECTORY: attention along motion paths (Motionformer)."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.TRAJECTORY",
        "Trajectory attention (Motionformer, Sec. 3.1 and Table 4)",
        (
            Key(
                "TEMPORAL",
                "attention",
                "how a trajectory is pooled over time: attention, or its mean",
                choices=("attention", "average"),
            ),
            Key(
                "NORM",
                "space",
                "softmax over the keys of each frame, or over those of all frames",
                choices=("space", "space_time"),
            ),
            Key(
                "VALUES",
                "original",
                "values over time: the trajectory tokens (public checkpoints), or projected (paper)",
                choices=("original", "projected"),
            ),
        ),
    ),
)
