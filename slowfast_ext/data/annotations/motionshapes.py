"""MotionShapes, the built-in set: rendered below DATA.PATH_TO_DATA_DIR on first use."""

from slowfast_ext.data.annotations.lists import Lists
from slowfast_ext.data.motion import CLASS_NAMES, MotionOptions, ensure_rendered
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import ConfigError


@DATASETS.register("motionshapes", MotionOptions)
def read_motionshapes(lists: Lists, split: str, motion: MotionOptions) -> VideoSet:
    """MOTION.NUM_TRAIN or MOTION.NUM_VAL clips; the test split is the validation split."""
    root = lists.folder
    if not root:
        raise ConfigError(
            "DATA.PATH_TO_DATA_DIR is empty: set it to the folder in which MotionShapes is rendered"
        )
    part = "train" if split == "train" else "val"
    count = motion.num_train if split == "train" else motion.num_val
    clips = ensure_rendered(root, motion.settings, part, count)
    records = [
        VideoRecord(
            str(clip.path),
            (clip.label,),
            f"{clip.folder}/manifest.json:{part} clip {clip.index}",
            name=f"{part}/{clip.path.parent.name}/{clip.path.name}",
        )
        for clip in clips
    ]
    return VideoSet("motionshapes", split, records, (CLASS_NAMES,))
