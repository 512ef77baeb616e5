"""A small server that speaks the part of the hub's protocol that uploads and downloads take."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

COMMIT = "c0ffee" * 6 + "c0ff"


class Hub:
    """Repositories: name -> file -> bytes. `tokens` may write."""

    def __init__(self):
        self.repos, self.objects, self.private, self.tokens = {}, {}, {}, {"hf_right"}
        self.address = ""


@contextmanager
def running_hub():
    """The server at 127.0.0.1 and its state."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        """Quiet."""

    def answer(self, code, body=b"", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        headers.setdefault("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def may_write(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ") in self.hub.tokens

    def do_POST(self):
        body = self.body()
        if self.path.endswith("/info/lfs/objects/batch"):
            asked = json.loads(body)["objects"]
            to = f"{self.hub.address}/lfs/"
            found = [{**one, "actions": {"upload": {"href": to + one["oid"]}}} for one in asked]
            return self.answer(200, {"objects": found, "transfer": "basic"})
        if not self.may_write():
            return self.answer(401, {"error": "Invalid credentials"})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]  # fmt: skip
            if repo in self.hub.repos:
                return self.answer(409, {"url": f"{self.hub.address}/{repo}"})
            self.hub.repos[repo] = {}
            self.hub.private[repo] = asked.get("visibility") == "private"
            return self.answer(200, {"url": f"{self.hub.address}/{repo}", "name": repo})
        if self.path == "/api/validate-yaml":
            header = json.loads(body)["content"].split("---")[1]
            return self.answer(200, {"errors": [] if yaml.safe_load(header) else ["no header"], "warnings": []})  # fmt: skip
        repo = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".pyth") else "regular", "shouldIgnore": False, "oid": None}
                for f in files
            ]  # fmt: skip
            return self.answer(200, {"files": modes})
        return self.commit(repo, body)

    def commit(self, repo, body):
        for line in body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.hub.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.hub.repos[repo][value["path"]] = self.hub.objects[value["oid"]]
        self.answer(
            200,
            {"success": True, "commitUrl": f"{self.hub.address}/{repo}/commit/{COMMIT}", "commitOid": COMMIT},
        )  # fmt: skip

    def do_PUT(self):
        data = self.body()
        oid = self.path.rsplit("/", 1)[1]
        assert hashlib.sha256(data).hexdigest() == oid
        self.hub.objects[oid] = data
        self.answer(200)

    def do_GET(self):
        parts = self.path.lstrip("/").split("/")
        if len(parts) == 5 and parts[2] == "resolve":
            return self.send_file(self.hub.repos.get("/".join(parts[:2])), parts[4])
        return self.answer(404, {"error": "not here"}, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET

    def send_file(self, files, name):
        if files is None:
            return self.answer(
                401, X_Error_Code="RepoNotFound", X_Error_Message="no such repository"
            )
        if name not in files:
            return self.answer(404, X_Error_Code="EntryNotFound", X_Error_Message="no such file")
        data = files[name]
        etag = hashlib.sha256(data).hexdigest()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        extra = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        return self.answer(206 if start else 200, data[start:], ETag=f'"{etag}"', X_Repo_Commit=COMMIT, **extra)  # fmt: skip
