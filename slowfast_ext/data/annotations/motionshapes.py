"""MotionShapes, the built-in set: rendered below DATA.PATH_TO_DATA_DIR on first use."""

from yacs.config import CfgNode

from slowfast_ext.data.motion import CLASS_NAMES, MotionSettings, ensure_rendered
from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.errors import ConfigError


@DATASETS.register("motionshapes")
def read_motionshapes(cfg: CfgNode, split: str) -> VideoSet:
    """MOTION.NUM_TRAIN or MOTION.NUM_VAL clips; the test split is the validation split."""
    root = cfg.DATA.PATH_TO_DATA_DIR
    if not root:
        raise ConfigError(
            "DATA.PATH_TO_DATA_DIR is empty: set it to the folder in which MotionShapes is rendered"
        )
    part = "train" if split == "train" else "val"
    count = cfg.MOTION.NUM_TRAIN if split == "train" else cfg.MOTION.NUM_VAL
    clips = ensure_rendered(root, MotionSettings.from_cfg(cfg), part, count)
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
