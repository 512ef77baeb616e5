"""Configurations of XViT for the tests: those of the golden cases, and the published one."""

from slowfast_ext.config.schema import get_cfg


def golden_cfg(case):
    """Our configuration for a golden case's."""
    theirs, xvit, head = case, case["XVIT"], case["TEMPORAL_HEAD"]
    cfg = get_cfg()
    cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES = "xvit", theirs["classes"]
    cfg.DATA.NUM_FRAMES = theirs["frames"]
    cfg.DATA.TRAIN_CROP_SIZE = cfg.DATA.TEST_CROP_SIZE = theirs["H"]
    cfg.VIT.PATCH_SIZE = [1, theirs["patch"], theirs["patch"]]
    cfg.VIT.EMBED_DIM, cfg.VIT.DEPTH = theirs["dim"], theirs["depth"]
    cfg.VIT.NUM_HEADS, cfg.VIT.MLP_RATIO = theirs["heads"], float(theirs["mlp_ratio"])
    cfg.XVIT.TIME_ROWS, cfg.XVIT.CONSENSUS = xvit["temp_embed_frames"], xvit["CONSENSUS_TYPE"]
    cfg.XVIT.CONSENSUS_DEPTH = head["NUM_HIDDEN_LAYERS"]
    cfg.XVIT.CONSENSUS_HEADS, cfg.XVIT.CONSENSUS_DIM = (
        head["NUM_ATTENTION_HEADS"],
        head["MLP_DIM"],
    )
    cfg.ATTENTION.CYCLE = ["mixing" if xvit["USE_XVIT"] else "space"]
    cfg.ATTENTION.MIXING.SHIFT_DIV = xvit["SHIFT_DIV"]
    cfg.ATTENTION.MIXING.NUM_SEGMENTS = xvit["NUM_SEGMENTS"]
    return cfg


def published_cfg(classes):
    """XViT-B/16 as released: 16 frames of 224 px in two groups of 8."""
    cfg = get_cfg()
    cfg.MODEL.BACKBONE, cfg.MODEL.NUM_CLASSES = "xvit", classes
    cfg.DATA.NUM_FRAMES = 16
    cfg.VIT.PATCH_SIZE = [1, 16, 16]
    cfg.XVIT.TIME_ROWS = 8
    cfg.ATTENTION.CYCLE = ["mixing"]
    cfg.ATTENTION.MIXING.NUM_SEGMENTS = 8
    return cfg
