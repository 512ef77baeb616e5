"""MotionShapes: a generated data set of real mp4 files whose classes are motions.

A world without edges in time or space: a scene is a vector of independent uniform phases (where the single
object is and how large, which way all are turned; how far apart the pair is and at which bearing), and a class is
one phase that runs, forwards or backwards: `motions.py`. A uniform phase that is shifted stays uniform, so
every frame of every class has the same distribution and says nothing of the class; partner classes are each
other's time reversal, so a set of frames without their order cannot tell them apart either.
"""

from slowfast_ext.data.motion.clip import render_clip
from slowfast_ext.data.motion.motions import CLASS_NAMES
from slowfast_ext.data.motion.render import ensure_rendered
from slowfast_ext.data.motion.settings import LEVELS, MotionOptions, MotionSettings
from slowfast_ext.data.motion.video import write_video

__all__ = [
    "CLASS_NAMES",
    "LEVELS",
    "MotionOptions",
    "MotionSettings",
    "ensure_rendered",
    "render_clip",
    "write_video",
]
