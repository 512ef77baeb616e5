"""What is rendered: the two levels, and the facts of a set that its folder and manifest name."""

from dataclasses import asdict, dataclass

from slowfast_ext.errors import ConfigError
from slowfast_ext.options import Options, option, section


@section(
    "MOTION",
    "MotionShapes, the data set that is rendered on first use (TRAIN.DATASET motionshapes)",
)
@dataclass(frozen=True)
class MotionOptions(Options):
    """How many clips are rendered, and how."""

    level: str = option(
        "easy",
        "easy: still camera, large motions; hard: moving camera, light, distractors, compression",
        choices=("easy", "hard"),
    )
    num_train: int = option(3600, "training clips, classes in turn", unit="clips", low=12)
    num_val: int = option(360, "validation clips, classes in turn", unit="clips", low=12)
    size: int = option(64, "side of the square video, even", unit="px", low=16)
    num_frames: int = option(16, "frames of a file, at 12 a second", unit="frames", low=2)
    seed: int = option(0, "seed of the set; same settings, same pixels", low=0)

    @property
    def settings(self) -> "MotionSettings":
        """What the pixels of a clip depend on. Raises ConfigError for an odd size."""
        return MotionSettings(self.level, self.size, self.num_frames, self.seed)


RENDERER = 1
"""Raised whenever the same settings give other pixels: old files are then not used."""

FPS = 12


@dataclass(frozen=True)
class Level:
    """How hard a set is. Lengths in frame widths, speeds in loops per file, light as a share.

    `speed` range of a motion, `contrast` of the background, `camera` drift over a file, `light` swing,
    `distractors` further objects that sway, `noise` standard deviation of pixels [levels], `crf` of x264.
    """

    speed: tuple[float, float]
    contrast: float
    camera: float
    light: float
    distractors: int
    noise: float
    crf: int


LEVELS = {
    "easy": Level((0.55, 0.95), 0.1, 0.0, 0.0, 0, 0.0, 20),
    "hard": Level((0.3, 0.7), 0.25, 0.35, 0.3, 2, 4.0, 34),
}


@dataclass(frozen=True)
class MotionSettings:
    """Level, side [px], frames of a file and seed; a clip is a pure function of these and its index."""

    level: str = "easy"
    size: int = 64
    num_frames: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size % 2:
            raise ConfigError(
                f"MOTION.SIZE = {self.size}: h264 needs an even side; take {self.size + 1}"
            )

    @property
    def facts(self) -> Level:
        """The level's numbers."""
        return LEVELS[self.level]

    @property
    def folder(self) -> str:
        """Name of the set's folder, one for each settings."""
        return f"motionshapes-{self.level}-{self.size}px-{self.num_frames}f-seed{self.seed}"

    def manifest(self) -> dict[str, object]:
        """All that the pixels depend on."""
        return {"renderer": RENDERER, "fps": FPS, **asdict(self), **asdict(self.facts)}
