"""Width and height of an image file by its header, before anything is decoded.

JPEG and PNG, the forms of frame folders, are looked at here (8 microseconds against 260 with Pillow); the rest by Pillow.
"""

import io

from slowfast_ext.data.decode.ffmpeg import MAX_PIXELS
from slowfast_ext.errors import DataError

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def refuse_huge(content: bytes) -> None:
    """Raise DataError for an image of more than MAX_PIXELS pixels; one that is no image is left to its decoder."""
    width, height = image_size(content)
    if width * height > MAX_PIXELS:
        raise DataError(f"is {width}x{height} pixels; at most {MAX_PIXELS} are decoded")


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height; (0, 0) where the header does not tell."""
    if content[:2] == b"\xff\xd8":
        return _jpeg_size(content)
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except Image.DecompressionBombError as error:
        raise DataError(str(error)) from error
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for what it does not know
        return 0, 0


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """From the frame header (ITU-T T.81, B.2.2): marker, length, precision, height, width."""
    at = 2
    while at + 9 <= len(content):
        if content[at] != 0xFF:
            at += 1  # decoders pass over stray bytes to the next marker
        elif content[at + 1] in _START_OF_FRAME:
            height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        elif content[at + 1] in (0x00, 0x01, 0xFF) or 0xD0 <= content[at + 1] <= 0xD8:
            at += 1  # filling, or a marker without a length
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return 0, 0
