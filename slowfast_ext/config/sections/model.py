"""MODEL: what is common to all backbones."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "MODEL",
        "Backbone, head and regularisation",
        (
            Key("BACKBONE", "vit", "name in the BACKBONES registry"),
            Key(
                "NUM_CLASSES",
                400,
                "classes of each head; two values: verb and noun",
                types=(int, list, tuple),
                low=1,
            ),
            Key(
                "CLASS_NAMES",
                "",
                "file with a class name a line, where the data set has none of its own",
            ),
            Key(
                "INIT_STD",
                0.02,
                "deviation of linear weights at the start; 0.02 is made for hundreds of channels, "
                "a narrow model learns much sooner from about 1 / sqrt(channels)",
                low=0,
            ),
            Key("DROPOUT_RATE", 0.0, "dropout before the classifier", low=0, high=1),
            Key(
                "DROP_PATH",
                0.0,
                "stochastic depth of the last block; rises linearly from 0",
                low=0,
                high=1,
            ),
            Key(
                "CHECKPOINT_BLOCKS",
                [0],
                "first blocks of each stage (one value: of the whole) whose activations are recomputed",
                low=0,
            ),
        ),
    ),
)
