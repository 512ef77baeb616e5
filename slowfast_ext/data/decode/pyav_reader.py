"""PyAV (FFmpeg): reads every file of the field, exactly.

Frames are found by the time stamps of the index: seek to the key frame before, decode up to the
stamp. Where a file's stamps are worth nothing, or seeking lands elsewhere than it should, the file is decoded
from its start and frames are counted.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from slowfast_ext.data.decode.base import DECODERS, Frames, places_of, scaled_size
from slowfast_ext.data.decode.ffmpeg import PacketDecoder, open_container, packets
from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.errors import DataError

Places = dict[int, list[int]]

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
        self._open()

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
        places = places_of(indices)
        if self.index.seekable and self._by_seeking(places, out):
            return
        missing = self._in_order(places, out)
        if missing:
            raise DataError(f"frames {missing} of {len(self.index)} cannot be decoded")

    def close(self) -> None:
        """Give back the decoder's memory and file."""
        self.container.close()

    def _open(self) -> None:
        self.container = open_container(self.path)
        self.stream = self.container.streams[self.index.stream]
        self.stream.codec_context.thread_count = 1

    def _by_seeking(self, places: Places, out: Frames) -> bool:
        """Whether all frames were found by their stamps."""
        shown, now = iter(()), None
        for frame, to in places.items():
            wanted, key = self.index.pts[frame], self.index.key_before(frame)
            if key is None:
                return False
            if now is None or now < key:
                shown = self._from_key(key)
            picture = next((p for p in shown if p.pts is None or p.pts >= wanted), None)
            if picture is None or picture.pts != wanted:
                return False
            out[to] = self._pixels(picture)
            now = wanted
        return True

    def _from_key(self, key: int) -> Iterator[VideoFrame]:
        """Frames from the key frame on; none where the container lands elsewhere."""
        self.container.seek(key, stream=self.stream)
        decode = PacketDecoder(self.stream)
        for number, packet in enumerate(packets(self.container, self.stream)):
            if number == 0 and not (
                packet.is_keyframe and packet.pts is not None and packet.pts <= key
            ):
                return
            yield from decode(packet)

    def _in_order(self, places: Places, out: Frames) -> list[int]:
        """Decode from the start and count (by stamps where they can be trusted); the frames that never came."""
        self.close()
        self._open()
        names = {self.index.pts[frame]: frame for frame in places}
        decode, number, last = PacketDecoder(self.stream), 0, max(places, default=-1)
        missing = dict(places)
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
        turns = self.index.rotation // 90 % 4
        height, width = self.size if turns % 2 == 0 else self.size[::-1]
        scaled = self.scaler.reformat(picture, width, height, "rgb24", **_ONE_THREAD)
        return np.rot90(scaled.to_ndarray(), turns)
