"""ATTENTION.NEIGHBOUR: channels of keys and values from neighbouring tokens."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.NEIGHBOUR",
        "Neighbourhood association, for any pattern and kernel",
        (
            Key("TEMPORAL", False, "take channels from the next and the previous frame"),
            Key("SPATIAL", False, "take channels from the four neighbours in the frame"),
            Key(
                "TEMPORAL_FRACTION",
                0.125,
                "share of the channels from each frame; those of space come after them",
                low=0,
                high=0.5,
            ),
            Key(
                "SPATIAL_FRACTION",
                0.0625,
                "share of the channels from each spatial neighbour",
                low=0,
                high=0.25,
            ),
            Key(
                "ORDER",
                "before",
                "association before or after the feature fixation",
                choices=("before", "after"),
            ),
        ),
    ),
)
