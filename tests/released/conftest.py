"""A web server on this machine that breaks off, lies and changes its mind as it is told to."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slowfast_ext.released import download


@dataclass
class Server:
    """`files` path -> bytes. `cut` answers end after so many bytes; `requests` are the ranges that were asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: int = 0
    cut_after: int = 0
    ranges: bool = True
    status: int = 200
    content_type: str = "application/octet-stream"
    requests: list[str] = field(default_factory=list)


def handler_of(server):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range", "")
            server.requests.append(asked)
            if server.status != 200:
                self.send_error(server.status)
                return
            content, first = server.files[self.path.partition("?")[0]], 0
            if asked and server.ranges:
                first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Type", server.content_type)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            body = content[first:]
            if server.cuts:
                server.cuts -= 1
                body = body[: server.cut_after]
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state))
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SLOWFAST_EXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
