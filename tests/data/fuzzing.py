"""Damaged copies of videos of every kind, made from a seed, and what a sequential read shows of them.

In a module of its own, so that a child process can load it.
"""

import random
from collections import deque
from fractions import Fraction

import av
import numpy as np
import video_makers as makers

from slowfast_ext.data.decode.ffmpeg import (
    PacketDecoder,
    best_video_stream,
    open_container,
    packets,
)
from slowfast_ext.data.decode.orientation import orientation_of
from slowfast_ext.processes import kept_priority

FRAMES = 24

KINDS = {
    "h264.mp4": ("libx264", {"bf": "2"}),
    "open_groups.mp4": ("libx264", {"bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}),
    "fragments.mp4": ("libx264", {"bf": "0"}),
    "h264.mkv": ("libx264", {"bf": "2"}),
    "h264.flv": ("libx264", {"bf": "2"}),
    "h264.ts": ("libx264", {"bf": "2"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none"}),
    "av1.mp4": ("libsvtav1", {"preset": "12"}),
    "vp8.webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "mpeg4.avi": ("mpeg4", {"bf": "2"}),
    "mjpeg.mov": ("mjpeg", {}),
    "mpeg2.mpg": ("mpeg2video", {"bf": "2"}),
    "mpeg1.mpg": ("mpeg1video", {}),
    "wmv2.asf": ("wmv2", {}),
    "animated.gif": ("gif", {}),
}
"""File name -> encoder and its options: 10 containers, 12 codecs."""

_PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}


def make(folder, kind):
    """The sound file of a kind."""
    codec, options = KINDS[kind]
    path, mux = folder / kind, {}
    if kind.startswith("fragments"):
        mux = {"movflags": "frag_keyframe+empty_moov"}
    with kept_priority(), av.open(str(path), "w", options=mux) as container:
        stream = container.add_stream(codec, rate=makers.FPS, options=dict(options))
        stream.width, stream.height = makers.WIDTH, makers.HEIGHT
        stream.pix_fmt = _PIXELS.get(codec, "yuv420p")
        stream.codec_context.gop_size = 8
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, makers.FPS)
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(makers.barcode(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, makers.FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def _flip(rnd, content):
    for _ in range(rnd.choice((1, 1, 2, 8, 40))):
        content[rnd.randrange(len(content))] ^= 1 << rnd.randrange(8)
    return content


def _truncate(rnd, content):
    return content[: rnd.randrange(len(content))]


def _splice(rnd, content):
    """A piece taken out, doubled, or put somewhere else."""
    size = rnd.randrange(1, max(2, len(content) // 4))
    start, to = rnd.randrange(len(content) - size), rnd.randrange(len(content))
    piece = content[start : start + size]
    if rnd.random() < 0.4:
        return content[:start] + content[start + size :]
    if rnd.random() < 0.5:
        return content[:to] + piece + content[to:]
    return content[:to] + piece + content[to + size :]


def _sizes(rnd, content):
    """Four bytes of the head or the tail, where containers keep sizes and counts, made small, large or negative."""
    reach = min(len(content) - 4, 1500)
    at = rnd.randrange(reach) if rnd.random() < 0.6 else len(content) - 4 - rnd.randrange(reach)
    value = rnd.choice(
        (0, 1, 7, 2**16, 2**24 + 3, 2**31 - 1, 2**31, 2**32 - 1, rnd.getrandbits(32))
    )
    content[at : at + 4] = value.to_bytes(4, rnd.choice(("big", "little")))
    return content


def _zeros(rnd, content):
    size = rnd.choice((1, 16, 300, len(content) // 3))
    start = rnd.randrange(len(content))
    end = min(start + size, len(content))
    content[start:end] = bytes([rnd.choice((0, 0, 255))]) * (end - start)
    return content


MUTATIONS = {f.__name__[1:]: f for f in (_flip, _truncate, _splice, _sizes, _zeros)}


def mutant(content, kind, seed):
    """How it was damaged, and the damaged bytes: a function of the kind and the seed."""
    rnd = random.Random(f"{kind} {seed}")
    name = list(MUTATIONS)[seed % len(MUTATIONS)]
    return name, bytes(MUTATIONS[name](rnd, bytearray(content)))


def sequential(path, held=0):
    """Time stamps and pixels, as they are shown, of the frames that reading from the start to the end gives.

    The last frames are `held`: their memory is not what the decoder writes the next ones to.
    """
    kept = deque(maxlen=held)
    with open_container(path) as container:
        stream = best_video_stream(container)
        decode, stamps, pictures = PacketDecoder(stream), [], []
        for packet in packets(container, stream):
            for frame in decode(packet):
                kept.append(frame)
                if not pictures:
                    turned, size = orientation_of(frame), (frame.width, frame.height)
                shown = frame.reformat(*size, "rgb24").to_ndarray()
                pictures.append(np.ascontiguousarray(turned.upright(shown)))
                stamps.append(frame.pts)
        return stamps, pictures


def expected(index, wanted, stamps, pictures):
    """The frames that a sequential read shows under these numbers; None for one that it does not show."""
    if index.counted:
        return [pictures[number] if number < len(pictures) else None for number in wanted]
    at = {stamp: place for place, stamp in enumerate(stamps)}
    places = [at.get(index.pts[number]) for number in wanted]
    return [None if place is None else pictures[place] for place in places]
