"""ATTENTION.EMIM: attention to a window of the next frame, with motion features."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.EMIM",
        "Explicit motion information mining, the variant `emim`",
        (
            Key(
                "WINDOW",
                [7, 7],
                "side of the window in the next frame, odd: rows, columns",
                unit="tokens",
                length=2,
                low=1,
            ),
            Key(
                "CONTEXT_CHANNELS",
                "all",
                "channels of a head that are aggregated and trained; the published CUDA kernels: 32",
                choices=("all", 32),
                types=(str, int),
            ),
        ),
    ),
)
