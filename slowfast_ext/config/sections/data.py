"""DATA and DATA_LOADER: where videos are, which frames and pixels of them are read."""

from slowfast_ext.config.keys import Key, Section

SECTIONS = (
    Section(
        "DATA",
        "Videos, clips and views",
        (
            Key("PATH_TO_DATA_DIR", "", "folder of the annotation files"),
            Key(
                "PATH_PREFIX", "", "folder joined before every media path; empty: PATH_TO_DATA_DIR"
            ),
            Key("PATH_LABEL_SEPARATOR", " ", "separator of path and label in list files"),
            Key(
                "LABEL_PATH_TEMPLATE",
                "",
                "name of the list files, {} is train, val (or validation) or test; empty: the data set's own names",
            ),
            Key(
                "FOLD",
                1,
                "which of the three official splits of UCF101 and HMDB51",
                choices=(1, 2, 3),
            ),
            Key(
                "ALLOW_MISSING",
                0.0,
                "largest share of listed files that may be absent; they are left out and counted",
                low=0,
                high=1,
            ),
            Key(
                "IMAGE_TEMPLATE",
                "{:05d}.jpg",
                "file name of frame i in a frame folder, first frame 1; {name} is the folder's own name",
            ),
            Key(
                "IMAGE_FPS",
                30.0,
                "rate at which the images of frame folders were taken from their videos",
                unit="frames/s",
                low=0.01,
            ),
            Key(
                "MULTI_LABEL", False, "a video has several labels; scores are sigmoids, metric mAP"
            ),
            Key("NUM_FRAMES", 8, "frames of a clip", unit="frames", low=1),
            Key(
                "SAMPLING",
                "dense",
                "which frames: dense, neighbours at SAMPLING_RATE; segment, one from each of NUM_FRAMES equal parts",
                choices=("dense", "segment"),
            ),
            Key(
                "SAMPLING_RATE",
                8,
                "distance of a dense clip's frames in the source",
                unit="frames",
                low=1,
            ),
            Key(
                "FRAME_SPACING",
                "stride",
                "dense frames lie SAMPLING_RATE apart, or linspace over the span (PySlowFast: 4.2 for 16x4)",
                choices=("stride", "linspace"),
            ),
            Key(
                "TARGET_FPS",
                0.0,
                "rate that SAMPLING_RATE is counted at; 0: the source's own",
                unit="frames/s",
                low=0,
            ),
            Key(
                "USE_OFFSET_SAMPLING",
                True,
                "test clips start at whole frames from first to last, centre for one (PySlowFast's key)",
            ),
            Key("TRAIN_CROP_SIZE", 224, "side of the square training crop", unit="px", low=1),
            Key(
                "TEST_CROP_SIZE",
                224,
                "side of the square test crop",
                unit="px",
                low=1,
            ),
            Key(
                "TEST_CROP_RATIO",
                1.0,
                "test crop as a part of the short side, to which frames are scaled first; 0.875 on ImageNet",
                low=0.1,
                high=1,
            ),
            Key(
                "TRAIN_JITTER_SCALES",
                [256, 320],
                "range of the short side before a random crop",
                unit="px",
                length=2,
                low=1,
            ),
            Key(
                "TRAIN_JITTER_SCALES_RELATIVE",
                [],
                "area range of a random-resized crop; empty: short-side jitter",
                length=2,
                low=0,
                high=1,
            ),
            Key(
                "TRAIN_JITTER_ASPECT_RELATIVE",
                [],
                "aspect range of a random-resized crop",
                length=2,
                low=0,
            ),
            Key(
                "TRAIN_MULTI_SCALE_CROP",
                [],
                "sides of a crop at fixed places, as parts of the short side (TSN: 1, .875, .75, .66); empty: off",
                low=0.01,
                high=1,
            ),
            Key(
                "INV_UNIFORM_SAMPLE",
                False,
                "jitter the short side uniformly in 1/size (PySlowFast's key)",
            ),
            Key(
                "ANTIALIAS",
                True,
                "average pixels when frames are scaled down; off reproduces PySlowFast's resize",
            ),
            Key(
                "INTERPOLATION",
                "bilinear",
                "how crops are resampled to their size; bicubic on ImageNet",
                choices=("bilinear", "bicubic"),
            ),
            Key(
                "RANDOM_FLIP",
                True,
                "mirror training clips half of the time; off where direction is the label",
            ),
            Key("MEAN", [0.45, 0.45, 0.45], "mean subtracted from pixels in [0, 1]", length=3),
            Key("STD", [0.225, 0.225, 0.225], "deviation that pixels are divided by", length=3),
            Key(
                "CHANNEL_ORDER",
                "rgb",
                "order of the colour channels fed to the model",
                choices=("rgb", "bgr"),
            ),
            Key(
                "DECODING_BACKEND",
                "auto",
                "video reader; auto: the fastest exact one, PyAV; decord and torchcodec read the files they are exact on",
            ),
            Key(
                "DECODE_TIMEOUT",
                60.0,
                "longest time for one video before its reader is killed; 0: none",
                unit="s",
                low=0,
            ),
            Key(
                "MAX_BAD_SHARE",
                0.01,
                "largest share of unreadable training videos before training stops",
                low=0,
                high=1,
            ),
        ),
    ),
    Section(
        "DATA_LOADER",
        "Loading processes",
        (
            Key(
                "NUM_WORKERS",
                8,
                "loader processes per training process; 0: in the process itself",
                low=0,
            ),
            Key("PIN_MEMORY", True, "page-locked batches (CUDA only)"),
            Key(
                "PREFETCH_FACTOR", 2, "batches that each worker holds ready", unit="batches", low=1
            ),
        ),
    ),
)
