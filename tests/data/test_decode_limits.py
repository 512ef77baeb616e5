"""What reading a file may cost, and what it may reach: little memory, local files only, whatever it says of itself."""

import http.server
import io
import os
import shutil
import struct
import threading
import zlib
from pathlib import Path

import fake_decoders as fakes
import numpy as np
import pytest
import torch
import video_makers as makers
from fakes import FakeSource
from PIL import Image

from slowfast_ext.data.dataset import TestViews
from slowfast_ext.data.decode.frames_reader import decoded_image
from slowfast_ext.data.decode.image_size import image_size
from slowfast_ext.data.decode.scan import scan_video
from slowfast_ext.data.decode.source import DECODERS, DecodeOptions, VideoSource
from slowfast_ext.data.records import VideoRecord, VideoSet
from slowfast_ext.data.sampling import SamplingOptions
from slowfast_ext.data.storage.pack import INDEX_FILE
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.errors import DataError

NAMES = (
    b"caf\xe9 \xff.mp4",
    b"two\nlines.mp4",
    b"\x1b[31mred.mp4",
    b"clip%03d.mp4",
    b"pipe:0",
    b"concat:a|b.mp4",
    b"a:b,c[0].mp4",
    b"-i.mp4",
    b"=1+1.mp4",
    b"file:x.mp4",
    "\u202egpj.mp4".encode(),
)


@pytest.fixture
def source():
    made = VideoSource()
    yield made
    made.close()


def record(path, **facts):
    return VideoRecord(os.fspath(path), (0,), "val.csv:7", **facts)


def gif(width, height):
    """One pixel of a picture of any size, in 43 bytes."""
    size = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    control = b"\x21\xf9\x04\x00\x0a\x00\x00\x00"
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0)
    return b"GIF89a" + size + b"\0\0\0\xff\xff\xff" + control + image + b"\x02\x02\x44\x01\x00\x3b"


def test_a_gif_of_43_bytes_takes_no_gigabytes(source, tmp_path):
    path = tmp_path / "trap.gif"
    path.write_bytes(gif(16000, 16000))
    assert path.stat().st_size == 43
    before = source.watchdog.call(fakes.resident_mb)
    with pytest.raises(DataError, match=r"trap\.gif \(val\.csv:7\): "):
        source.info(record(path))
    assert source.watchdog.call(fakes.peak_mb) - before < 100
    path.write_bytes(gif(160, 160))
    assert source.frames(record(path), [0]).shape == (1, 160, 160, 3)


def test_a_header_that_claims_huge_frames(source, tmp_path):
    path = Path(makers.closed(tmp_path))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"avc1") + 4 + 24
    assert struct.unpack(">HH", content[at : at + 4]) == (makers.WIDTH, makers.HEIGHT)
    content[at : at + 4] = struct.pack(">HH", 65000, 65000)
    path.write_bytes(content)
    before = source.watchdog.call(fakes.resident_mb)
    index = source.index(record(path))
    assert index.size == (makers.HEIGHT, makers.WIDTH)  # by the stream's own header
    assert source.watchdog.call(fakes.peak_mb) - before < 100


def test_reading_has_a_limit_of_memory(tmp_path):
    path = makers.closed(tmp_path)
    frame = makers.HEIGHT * makers.WIDTH * 3
    small = VideoSource(DecodeOptions(decode_memory=0.2))
    assert small.frames(record(path), [0] * 100).shape[0] == 100
    with pytest.raises(DataError, match=r"closed\.mp4 .*0\.2 GiB .*DATA\.DECODE_MEMORY"):
        small.frames(record(path), [0] * (2**28 // frame))
    assert makers.numbers_of(small.frames(record(path), [7])) == [7]
    small.close()


def huge(kind, side):
    """An image file whose header says so, and little else."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    content = bytearray(file.getvalue())
    if kind == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", side, side)
    else:
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize(("kind", "side"), [("JPEG", 65000), ("PNG", 9000), ("PNG", 10**6)])
def test_images_are_refused_by_their_header(source, tmp_path, kind, side):
    folder = tmp_path / "v_01"
    folder.mkdir()
    (folder / "00001.jpg").write_bytes(huge(kind, side))
    assert image_size(huge(kind, side)) == (side, side)
    with pytest.raises(DataError):
        decoded_image("empty.jpg", b"")  # loads the library
    before = fakes.peak_mb()
    with pytest.raises(DataError, match=r"00001\.jpg cannot be read: .*pixels"):
        source.info(record(folder))
    assert fakes.peak_mb() - before < 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "comment": b"\xff\xc0" * 9}])
def test_sizes_of_images(kind, options):
    file = io.BytesIO()
    Image.new("RGB", (37, 21)).save(file, kind, **(options if kind == "JPEG" else {}))
    content = file.getvalue()
    assert image_size(content) == (37, 21)
    for cut in range(len(content)):
        assert image_size(content[:cut]) == (37, 21) or cut < len(content) / 2 + 30
    assert image_size(b"") == image_size(b"no image") == (0, 0)


@pytest.mark.parametrize("size", [(4, 600), (600, 4)])
def test_a_strip_is_no_video(size):
    """Scaled until it covers a crop, it would take gigabytes."""

    class Strips(FakeSource):
        def frames(self, _, indices, short_side=0):
            return torch.zeros(len(indices), *size, 3, dtype=torch.uint8)

    videos = VideoSet("strips", "val", [record("strip.mp4")])
    views = TestViews(videos, Strips(), SamplingOptions(num_frames=2), CropOptions())
    (bad,) = views[0].bad
    assert f"{size[1]}x{size[0]}" in bad.reason


@pytest.mark.parametrize("backend", ["auto", "decord"])
def test_names_of_any_bytes(tmp_path, monkeypatch, backend):
    """From a folder where the name alone could mean a protocol, a pipe, a pattern or an option."""
    if backend == "decord" and DECODERS.get("decord").missing():
        pytest.skip(DECODERS.get("decord").missing())
    whole, paths = makers.closed(tmp_path), [os.fsdecode(name) for name in NAMES]
    for path in paths:
        shutil.copy(whole, tmp_path / path)
    monkeypatch.chdir(tmp_path)
    source = VideoSource(DecodeOptions(decoding_backend=backend), [str(tmp_path)])
    for path in paths:
        assert makers.numbers_of(source.frames(record(path), [9])) == [9]
    source.close()
    # Libraries that take text cannot open names that are none: the next reader can.
    assert source.counts == ({"decord failed": 1} if backend == "decord" else {})
    again = VideoSource(DecodeOptions(), [str(tmp_path)])
    assert all(again.cache.get(path) for path in paths)


@pytest.fixture
def server():
    """Where a list's address would lead, and who came."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def test_an_address_in_a_list_is_not_fetched(server, source, tmp_path, monkeypatch):
    """Also where a folder `http:` below the working one makes it a file that is there: behind an address, packs alone."""
    address, asked = server
    monkeypatch.chdir(tmp_path)
    path = f"{address}/videos/clip.mp4"
    os.makedirs(os.path.dirname(path))
    shutil.copy(makers.closed(tmp_path), path)
    with pytest.raises(DataError, match=r"clip\.mp4"):
        source.info(record(path))
    assert {os.path.basename(asked_path) for asked_path in asked} <= {INDEX_FILE}
    monkeypatch.chdir(os.path.dirname(path))
    assert source.info(record("clip.mp4")).length == makers.FRAMES


@pytest.mark.parametrize("kind", ["m3u8", "concat", "sdp", "xml"])
def test_a_playlist_reaches_nothing(server, source, tmp_path, kind):
    address, asked = server
    other = makers.closed(tmp_path)
    texts = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {other}\nfile {address}/a.mp4\n",
        "sdp": f"v=0\nc=IN IP4 127.0.0.1\nm=video {address.rsplit(':')[-1]} RTP/AVP 96\n",
        "xml": f'<?xml version="1.0"?><MPD><BaseURL>{address}/</BaseURL></MPD>',
    }
    path = tmp_path / "list.mp4"
    path.write_text(texts[kind])
    with pytest.raises(DataError, match=r"list\.mp4"):
        source.info(record(path))
    assert not asked


def test_a_codec_that_nobody_knows(source, tmp_path):
    """The container is sound; also where it turns up under an index made before."""
    path = Path(makers.closed(tmp_path))
    index, content = scan_video(str(path)), path.read_bytes()
    path.write_bytes(content.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(DataError, match=r"closed\.mp4 .*codec"):
        source.info(record(path))
    with pytest.raises(DataError, match="codec"):
        source.claimed_frames(record(path))
    with pytest.raises(DataError, match="codec"):
        DECODERS.get("pyav")(str(path), index)
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>')
    with pytest.raises(DataError, match=r"closed\.mp4"):
        source.info(record(path))


def test_a_stream_that_is_gone(tmp_path):
    """The index is of another file."""
    index = scan_video(makers.several_streams(tmp_path))
    sound = makers.sound_only(tmp_path)
    for number in (0, 5):
        with pytest.raises(DataError, match=f"no video stream {number}"):
            DECODERS.get("pyav")(sound, type(index)(**{**index.to_json(), "stream": number}))


def test_frames_stay_what_they_are(tmp_path):
    """The limits change no pixel."""
    path = makers.closed(tmp_path)
    source = VideoSource(DecodeOptions(decode_memory=0.0))
    limited = VideoSource(DecodeOptions())
    wanted = record(path), [0, 31, 59]
    assert np.array_equal(source.frames(*wanted), limited.frames(*wanted))
    source.close()
    limited.close()
