"""ATTENTION.ORTHOFORMER: softmax attention through a few queries."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.ORTHOFORMER",
        "The orthoformer kernel (Motionformer, Sec. 3.2 and Table 3)",
        (
            Key("LANDMARKS", 128, "landmarks of a row; at most its queries", low=1),
            Key(
                "SELECTION",
                "orthogonal",
                "which queries: the most orthogonal, random ones, or means of segments",
                choices=("orthogonal", "random", "segment_means"),
            ),
            Key(
                "SHARE_TIME", True, "one set for the clip; else trajectories have one a query frame"
            ),
            Key("SUBSAMPLE", 1.0, "share of the queries that are candidates", low=0, high=1),
        ),
    ),
)
