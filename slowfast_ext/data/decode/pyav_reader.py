"""PyAV (FFmpeg): reads every file of the field, exactly, and faster than the others.

Frames are found by the time stamps of the index: seek to the key frame before, decode up to the
stamp. Three ways, from the fastest; each next one where the one before did not find its stamps:
- lean: a frame that is neither wanted nor a reference of others is not decoded, and a decoder that has been
  given all wanted packets is emptied instead of fed on;
- plain seeking;
- decoding from the start and counting, where a file's stamps are worth nothing or seeking lands elsewhere
  than it should.
"""

from collections.abc import Iterator, Sequence

from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter

from slowfast_ext.data.decode.base import DECODERS, Frames, positions_of, scaled_size
from slowfast_ext.data.decode.ffmpeg import PacketDecoder, open_container, packets, video_stream
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.errors import DataError

Positions = dict[int, list[int]]

SKIPPING_CODECS = ("h264", "mpeg4")
"""Where a frame marked as no reference is none. In HEVC the mark holds for one temporal layer only."""

UNSURE_CODECS = ("vp8", "mjpeg")
"""Their decoders fill damaged parts from what they decoded before, across key frames, and do not say so: read from
the start."""

SLOWLY_PROBED_CODECS = ("h264",)
"""FFmpeg decodes seven frames or more to guess the order of frames; lean reading finds them by their stamps."""

_ONE_THREAD = {"threads": 1} if "threads" in (VideoReformatter.reformat.__doc__ or "") else {}


@DECODERS.register("pyav")
class PyAVReader:
    """Reader over PyAV; see `base.Reader`."""

    guarded = True

    def __init__(self, path: str, index: VideoIndex, short_side: int = 0) -> None:
        self.index = index
        self.size = scaled_size(index.size, short_side)
        self.path = path
        self.scaler = VideoReformatter()
        # Where frames had to be counted, a packet is not surely a frame.
        self._open(lean=index.seekable and not index.counted)

    @staticmethod
    def missing() -> str:
        """Nothing: PyAV is a requirement of the package."""
        return ""

    @staticmethod
    def exact(index: VideoIndex) -> bool:
        """Always, for a video file."""
        return not index.template

    def frames(self, indices: Sequence[int], out: Frames) -> None:
        """Fill out [T, H, W, 3]. Raises DataError for frames that the file does not give."""
        positions = positions_of(indices)
        if self.index.codec not in UNSURE_CODECS and self._sought(positions, out):
            return
        missing = self._in_order(positions, out)
        if missing:
            raise DataError(f"frames {missing} of {len(self.index)} cannot be decoded")

    def _sought(self, positions: Positions, out: Frames) -> bool:
        if self.lean:
            if self._by_seeking(positions, out):
                return True
            self._reopen()
        return self.index.seekable and self._by_seeking(positions, out)

    def close(self) -> None:
        """Give back the decoder's memory and file."""
        self.container.close()

    def _open(self, lean: bool) -> None:
        self.lean = lean
        unprobed = lean and self.index.codec in SLOWLY_PROBED_CODECS
        self.container = open_container(self.path, self.index.stream if unprobed else None)
        self.stream = video_stream(self.container, self.index.stream)

    def _reopen(self) -> None:
        self.close()
        self._open(lean=False)

    def _by_seeking(self, positions: Positions, out: Frames) -> bool:
        """Whether all frames were found by their stamps."""
        groups: dict[int | None, Positions] = {}
        for frame, to in positions.items():
            groups.setdefault(self.index.key_before(frame), {})[self.index.pts[frame]] = to
        return None not in groups and all(
            key is not None and self._group(key, stamps, out) for key, stamps in groups.items()
        )

    def _group(self, key: int, stamps: Positions, out: Frames) -> bool:
        """Whether all frames of a group of pictures were found; `stamps` maps their times to positions."""
        missing, last = dict(stamps), max(stamps)
        # An edit list may hide the key frame itself.
        begun = key < self.index.pts[0]
        for picture in self._from_key(key, set(stamps), missing):
            # What covers up damage depends on all that was decoded before: only a read from the start is sure.
            if picture.is_corrupt:
                return False
            if not missing:  # what others may have been made from
                continue
            if picture.pts is None or picture.pts > last:
                return False
            # h264 may refresh the picture in strips: then what is marked as a key frame is none.
            begun |= picture.pts == key and picture.pict_type == PictureType.I
            # Two packets may make an interlaced picture: neither is safely left out.
            if (picture.pts >= key and not begun) or (self.lean and picture.interlaced_frame):
                return False
            if picture.pts in missing:
                out[missing.pop(picture.pts)] = self._pixels(picture)
        return not missing

    def _from_key(self, key: int, ahead: set[int], missing: Positions) -> Iterator[VideoFrame]:
        """Frames from the key frame on until none is `missing`; none where the container lands elsewhere.

        `ahead` are the wanted stamps that the decoder has not been given yet.
        """
        self.container.seek(key, stream=self.stream)
        decode = PacketDecoder(self.stream)
        for number, packet in enumerate(packets(self.container, self.stream)):
            if number == 0 and not (
                packet.is_keyframe and packet.pts is not None and packet.pts <= key
            ):
                return
            if self.lean and self.index.codec in SKIPPING_CODECS:
                decode.codec.skip_frame = "DEFAULT" if packet.pts in ahead else "NONREF"
            ahead.discard(packet.pts)
            pictures = decode(packet)
            if decode.damaged:
                return
            yield from pictures
            if not missing or (self.lean and not ahead):
                yield from decode(Packet())
                return

    def _in_order(self, positions: Positions, out: Frames) -> list[int]:
        """Decode from the start and count (by stamps where they can be trusted); the frames that never came."""
        self._reopen()
        names: dict[int | None, int] = {self.index.pts[frame]: frame for frame in positions}
        decode, number, last = PacketDecoder(self.stream), 0, max(positions, default=-1)
        missing = dict(positions)
        for packet in packets(self.container, self.stream):
            for picture in decode(packet):
                frame = names.get(picture.pts) if self.index.seekable else number
                if frame in missing:
                    out[missing.pop(frame)] = self._pixels(picture)
                number += 1
            if not missing or (not self.index.seekable and number > last):
                break
        return list(missing)

    def _pixels(self, picture: VideoFrame) -> Frames:
        """RGB of one frame [H, W, 3], scaled and turned as it is shown."""
        orientation = self.index.orientation
        height, width = self.size[::-1] if orientation.lies else self.size
        scaled = self.scaler.reformat(picture, width, height, "rgb24", **_ONE_THREAD)
        return orientation.upright(scaled.to_ndarray())
