"""Which frames of a file a record means."""

from slowfast_ext.data.decode.index import VideoIndex
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.errors import DataError


def piece_of(record: VideoRecord, index: VideoIndex) -> range:
    """Frames of the record's piece, cut at the end of the file; the whole file where it names no piece.

    Seconds count from the first frame, and the frame shown at `end` is outside; a piece between two
    frames has one frame. Raises DataError for a piece that lies behind the end.
    """
    if record.start is not None or record.end is not None:
        first = index.frame_at(record.start or 0.0)
        stop = len(index) if record.end is None else max(index.frame_at(record.end), first + 1)
        said = f"{record.start or 0.0:g} s to {'its end' if record.end is None else f'{record.end:g} s'}"
    else:
        first = record.start_frame or 0
        stop = len(index) if record.end_frame is None else record.end_frame + 1
        said = f"frame {first} to {'its end' if record.end_frame is None else stop - 1}"
    piece = range(first, min(stop, len(index)))
    if not piece or first < 0:
        raise DataError(
            f"has no piece from {said}: it has {len(index)} frames, {index.duration:.2f} s"
        )
    return piece
