"""ATTENTION.NYSTROM: softmax attention through means of queries and keys."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "ATTENTION.NYSTROM",
        "The nystrom kernel (Nystromformer)",
        (
            Key("LANDMARKS", 128, "segments of a row; at most its tokens", low=1),
            Key("INVERSE_STEPS", 6, "iterations of the pseudo-inverse", low=1),
            Key(
                "CONV",
                0,
                "odd size of a convolution of the values along the tokens, beside the attention (35 in Long Range Arena); 0: none",
                unit="tokens",
                low=0,
            ),
        ),
    ),
)
