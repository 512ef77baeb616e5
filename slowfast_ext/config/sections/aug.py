"""AUG and MIXUP: augmentation of clips and of batches."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "AUG",
        "Augmentation of a training clip",
        (
            Key("ENABLE", True, "augment beyond crop and flip; the keys below"),
            Key(
                "NUM_SAMPLE",
                1,
                "augmented clips from one decoded video (repeated augmentation)",
                unit="clips",
                low=1,
            ),
            Key(
                "AA_TYPE",
                "",
                "RandAugment or AutoAugment in timm's syntax: rand-m7-n4-mstd0.5-inc1, v0, original; empty: off",
            ),
            Key(
                "INTERPOLATION",
                "bicubic",
                "interpolation of geometric operations",
                choices=("bilinear", "bicubic"),
            ),
            Key(
                "COLOR_JITTER",
                0.0,
                "strength of brightness, contrast and saturation jitter; 0: off",
                low=0,
            ),
            Key("COLOR_JITTER_PROB", 0.8, "probability of the colour jitter", low=0, high=1),
            Key("GRAYSCALE", 0.0, "probability of a grey clip", low=0, high=1),
            Key("RE_PROB", 0.0, "probability of random erasing", low=0, high=1),
            Key(
                "RE_MODE",
                "pixel",
                "what an erased box is filled with: noise per pixel, one noise colour, or zero",
                choices=("pixel", "rand", "const"),
            ),
            Key("RE_COUNT", 1, "erased boxes", low=1),
        ),
    ),
    Section(
        "MIXUP",
        "Mixing of a training batch, and label smoothing",
        (
            Key("ENABLE", False, "mix clips of a batch"),
            Key("ALPHA", 0.8, "mixup beta parameter; 0: no mixup", low=0),
            Key("CUTMIX_ALPHA", 1.0, "cutmix beta parameter; 0: no cutmix", low=0),
            Key("PROB", 1.0, "probability that a batch is mixed", low=0, high=1),
            Key("SWITCH_PROB", 0.5, "probability of cutmix where both are on", low=0, high=1),
            Key(
                "LABEL_SMOOTH_VALUE", 0.0, "label smoothing, with or without mixing", low=0, high=1
            ),
        ),
    ),
)
