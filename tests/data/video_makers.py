"""Videos whose frames carry their number as a barcode, in all the ways that readers get wrong."""

from fractions import Fraction

import av
import numpy as np

from slowfast_ext.processes import kept_priority

BITS, BLOCK = 10, 16
HEIGHT, WIDTH = 64, BITS * BLOCK
FPS, FRAMES = 25, 60


def barcode(number, height=HEIGHT):
    """RGB picture [H, W, 3] of a number: white blocks are ones, over a strip that moves."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 25, BLOCK)
    picture = np.repeat(row[None, :, None], height, axis=0).repeat(3, axis=2)
    strip = (np.arange(WIDTH) * 3 + number * 5) % 256
    picture[-16:] = strip[None, :, None]
    return picture


def number_of(picture):
    """The number of a picture [H, W, 3] of any size."""
    height, width = picture.shape[:2]
    row = np.asarray(picture)[height // 4 : height // 2].mean(axis=(0, 2))
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return sum(1 << bit for bit, x in enumerate(centres) if row[x] > 128)


def numbers_of(frames):
    return [number_of(picture) for picture in np.asarray(frames)]


def write(
    path,
    codec="libx264",
    options=(),
    numbers=range(FRAMES),
    pts=None,
    gop=12,
    rotation=0,
    time_base=Fraction(1, FPS),
    mux=(),
):
    """Encode numbers as a file; `pts(i)` is frame i's time in `time_base`."""
    with kept_priority(), av.open(str(path), "w", options=dict(mux)) as container:
        stream = container.add_stream(codec, rate=FPS, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.options |= {"sc_threshold": "0"} if codec == "libx264" else {}
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        _encode(container, stream, numbers, pts, time_base)
    return str(path)


def _encode(container, stream, numbers, pts, time_base):
    for place, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(barcode(number), format="rgb24")
        frame.pts = pts(place) if pts else place
        frame.time_base = time_base
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def closed(folder, **changes):
    return write(folder / "closed.mp4", options={"bf": "0"}, **changes)


def b_frames(folder):
    return write(folder / "b_frames.mp4", options={"bf": "3", "x264-params": "b-pyramid=normal"})


def one_group(folder):
    return write(folder / "one_group.mp4", gop=250)


def open_groups(folder):
    return write(
        folder / "open.mp4", options={"bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
    )


def interlaced(folder):
    return write(folder / "interlaced.mp4", options={"bf": "2", "flags": "+ildct+ilme"})


def webm(folder):
    return write(
        folder / "vp9.webm", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}
    )


def av1(folder):
    return write(folder / "av1.mp4", codec="libsvtav1", options={"preset": "12"}, gop=24)


def variable_rate(folder):
    return write(
        folder / "vfr.mp4",
        pts=lambda i: 7 * i + 20 * (i // 10) + i % 3,
        time_base=Fraction(1, 250),
    )


def late_start(folder):
    return write(folder / "late.mkv", pts=lambda i: i + 2 * FPS)


def rotated(folder):
    return write(folder / "rotated.mp4", rotation=90)


def avi(folder):
    return write(folder / "plain.avi", codec="mpeg4", options={"bf": "0"})


def avi_b_frames(folder):
    return write(folder / "b_frames.avi", codec="mpeg4", options={"bf": "2"})


def hevc(folder):
    return write(folder / "hevc.mp4", codec="libx265", options={"x265-params": "log-level=none"})


def edit_list(folder, cut=17):
    """Packets copied from the key frame before frame `cut` on; an edit list hides those before it."""
    whole = b_frames(folder)
    target = folder / "edit_list.mp4"
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(whole) as source, av.open(str(target), "w", options=options) as container:
        theirs = source.streams.video[0]
        ours = container.add_stream_from_template(theirs)
        ticks = int(1 / FPS / theirs.time_base)
        source.seek(cut * ticks, stream=theirs)
        for packet in source.demux(theirs):
            if packet.dts is not None:
                packet.stream = ours
                packet.pts -= cut * ticks
                packet.dts -= cut * ticks
                container.mux(packet)
    return str(target)


def several_streams(folder):
    """The stream that players show, a small one of other numbers, and sound."""
    path = folder / "streams.mp4"
    with av.open(str(path), "w") as container:
        sizes = ((WIDTH, HEIGHT), (160, 32))
        streams = [_add_video(container, *size) for size in sizes]
        sound = container.add_stream("aac", rate=16000)
        for number in range(FRAMES):
            for stream, (_, height), shift in zip(streams, sizes, (0, 500), strict=True):
                frame = av.VideoFrame.from_ndarray(barcode(number + shift, height), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
        container.mux(sound.encode(_silence()))
        for stream in (*streams, sound):
            container.mux(stream.encode(None))
    return str(path)


def _add_video(container, width, height):
    stream = container.add_stream("libx264", rate=FPS)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    return stream


def _silence(samples=16000):
    sound = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), "fltp", "mono")
    sound.sample_rate, sound.pts = 16000, 0
    return sound


def tagged(folder):
    """A title that is no UTF-8."""
    whole, path = closed(folder), folder / "tagged.mp4"
    with av.open(whole) as source, av.open(str(path), "w") as container:
        container.metadata["title"] = "ABCDEFGH"
        theirs = source.streams.video[0]
        ours = container.add_stream_from_template(theirs)
        for packet in source.demux(theirs):
            if packet.dts is not None:
                packet.stream = ours
                container.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"ABCDEFGH", b"AB\xff\xfe\xff\xfeGH"))
    return str(path)


def sound_only(folder):
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        container.mux(stream.encode(_silence()))
        container.mux(stream.encode(None))
    return str(path)


def empty(folder):
    path = folder / "empty.mp4"
    path.touch()
    return str(path)


def text(folder):
    path = folder / "text.mp4"
    path.write_text("<html>404 not found</html>\n" * 100)
    return str(path)


def header_missing(folder):
    """Cut at half: the index of an ordinary mp4 lies at its end."""
    return _cut(closed(folder), folder / "header_missing.mp4", 0.5)


def claims_more(folder):
    """Cut at half with the index first: the header claims 60 frames."""
    whole = write(folder / "whole.mp4", options={"bf": "0"}, mux={"movflags": "faststart"})
    return _cut(whole, folder / "claims_more.mp4", 0.6)


def _cut(whole, path, share):
    content = open(whole, "rb").read()  # noqa: SIM115
    path.write_bytes(content[: int(len(content) * share)])
    return str(path)


def cut_webm(folder):
    return _cut(webm(folder), folder / "cut.webm", 0.5)


def damaged_middle(folder, frames=(20, 21)):
    """The packets of some frames overwritten: sizes and times stay right."""
    whole, path = closed(folder), folder / "damaged.mp4"
    content = bytearray(open(whole, "rb").read())  # noqa: SIM115
    with av.open(whole) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for number in frames:
        start, size = spans[number]
        content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    return str(path)
