"""Packs behind an address: a local server with the interface of S3, and one of plain HTTP."""

import http.server
import threading
from functools import partial

import pytest
import torch
from packs import FOLDER, frames

from slowfast_ext.config import load_config
from slowfast_ext.data.annotations import read_videos
from slowfast_ext.data.storage import shards, store
from slowfast_ext.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No copy of an index of another test, and no waiting."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shards, "PAUSE_S", 0.0)
    monkeypatch.setattr(store, "_packs", store._Packs())
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def bucket(packed):
    """The address of the pack in a bucket."""
    moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    s3fs = pytest.importorskip("s3fs")
    with pytest.MonkeyPatch.context() as patch:
        server = moto_server.ThreadedMotoServer(port=0, verbose=False)
        server.start()
        _, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()  # one that is kept asks the server that it was made for
        system = s3fs.S3FileSystem()
        system.mkdir("bucket")
        for file in packed.iterdir():
            system.put_file(str(file), f"bucket/sets/own/{file.name}")
        yield "s3://bucket/sets/own"
        server.stop()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Gives parts of files, as servers of files do."""

    def do_GET(self):
        wanted = self.headers.get("Range")
        file = self.translate_path(self.path)
        try:
            with open(file, "rb") as opened:
                content = opened.read()
        except OSError:
            self.send_error(404)
            return
        if wanted and self.server.gives_parts:
            first, last = wanted.removeprefix("bytes=").split("-")
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[int(first) : int(last) + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def web(packed):
    """A server of the pack and its address."""
    pytest.importorskip("aiohttp")
    handler = partial(Handler, directory=str(packed))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.gives_parts = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["b_frames.mp4", FOLDER])
def test_frames_from_a_bucket(loose, bucket, name):
    info, clip = frames(bucket, name)
    expected = frames(loose, name)
    assert info == expected[0]
    assert torch.equal(clip, expected[1])


def test_frames_from_a_bucket_in_the_decoding_process(loose, bucket):
    clip = frames(bucket, "b_frames.mp4", timeout=60.0)[1]
    assert torch.equal(clip, frames(loose, "b_frames.mp4")[1])


def test_lists_of_a_bucket(loose, bucket, tmp_path):
    keys = {"PATH_TO_DATA_DIR": loose, "PATH_PREFIX": bucket}
    pairs = [str(part) for key, value in keys.items() for part in (f"DATA.{key}", value)]
    videos = read_videos(
        load_config([], [*pairs, "OUTPUT_DIR", str(tmp_path), "MODEL.NUM_CLASSES", "2"]), "train"
    )
    assert len(videos) == 4
    assert videos.records[0].path == f"{bucket}/b_frames.mp4"


def test_the_index_is_fetched_once(bucket, cache):
    for _ in range(2):
        frames(bucket, "b_frames.mp4")
        store._packs = store._Packs()
    assert len(list(cache.rglob("*.sqlite"))) == 1


def test_frames_over_http(loose, web):
    address = web[1]
    for name in ("b_frames.mp4", FOLDER):
        assert torch.equal(frames(address, name)[1], frames(loose, name)[1])


def test_a_server_is_not_asked_for_a_pack_in_a_folder_of_an_open_one(web, monkeypatch):
    """Two requests a video to a bucket. Of a folder that the pack does not have it is asked: another pack may lie there."""
    address, asked = web[1], []
    frames(address, "b_frames.mp4")
    monkeypatch.setattr(store, "_holds_index", asked.append)
    frames(address, FOLDER)
    assert not asked
    with pytest.raises(DataError):
        frames(address, "absent/a.mp4")
    assert asked == [f"{address}/absent"]


def test_a_server_that_gives_no_parts_is_named(web):
    server, address = web
    frames(address, FOLDER)
    server.gives_parts = False
    with pytest.raises(DataError, match="does not give parts of files"):
        frames(address, "b_frames.mp4")


def test_a_connection_that_is_lost_costs_a_sample(web):
    server, address = web
    frames(address, FOLDER)
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match=r"list:1.*train-\d+\.tar cannot be read \(3 tries\)"):
        frames(address, "b_frames.mp4")


@pytest.mark.parametrize("name", ["http://x.org/a.mp4", "s3://bucket/a.mp4"])
def test_an_address_in_a_list_of_loose_files_is_not_asked_for(loose, tmp_path, monkeypatch, name):
    (tmp_path / "train.csv").write_text(f"{name} 0\n")
    monkeypatch.setattr("fsspec.core.url_to_fs", None)
    pairs = ["DATA.PATH_TO_DATA_DIR", str(tmp_path), "MODEL.NUM_CLASSES", "2"]
    with pytest.raises(DataError, match=rf"0 of 1 .* present.*{name} .*train\.csv:1"):
        read_videos(load_config([], pairs), "train")


def test_no_pack_behind_an_address():
    with pytest.raises(DataError, match=r"no pack\.sqlite above it"):
        frames("memory://nothing/here", "a.mp4")
