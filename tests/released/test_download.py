"""A download is whole or not there: broken lines, wrong sums, pages, several processes, folders that cannot be written."""

import hashlib
import os
import random
import subprocess
import sys

import pytest

from slowfast_ext.errors import CheckpointError
from slowfast_ext.released.download import ATTEMPTS, download

CONTENT = random.Random(0).randbytes(300_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def link(server):
    server.files["/weights.pth"] = CONTENT
    return f"{server.url}/weights.pth"


def test_a_file_is_fetched_once(server, link, tmp_path):
    path = tmp_path / "new" / "weights.pth"
    for _ in range(2):
        assert download(link, path, SUM, len(CONTENT)).read_bytes() == CONTENT
    assert server.requests == [""]
    assert {file.name for file in path.parent.iterdir()} <= {"weights.pth", "weights.pth.lock"}


def test_a_broken_line_goes_on_where_it_broke(server, link, tmp_path):
    server.cuts, server.cut_after = 2, 100_000
    assert download(link, tmp_path / "w", SUM).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=100000-", "bytes=200000-"]


def test_a_server_that_knows_no_ranges_starts_again(server, link, tmp_path):
    server.cuts, server.cut_after, server.ranges = 1, 100_000, False
    assert download(link, tmp_path / "w", SUM).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=100000-"]


def test_a_later_process_goes_on_too(server, link, tmp_path):
    server.cuts, server.cut_after = ATTEMPTS, 10_000
    with pytest.raises(
        CheckpointError, match=r"ended after 50000 of 300000 bytes.*fetch it yourself"
    ):
        download(link, tmp_path / "w", SUM)
    assert not (tmp_path / "w").exists()
    assert download(link, tmp_path / "w", SUM).read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=50000-"


def test_the_part_of_another_file_is_not_kept(server, link, tmp_path):
    (tmp_path / "w.part").write_bytes(b"\0" * 400_000)
    assert download(link, tmp_path / "w", SUM).read_bytes() == CONTENT
    (tmp_path / "v.part").write_bytes(b"\0" * 100)
    with pytest.raises(CheckpointError, match="sha256"):
        download(link, tmp_path / "v", SUM)
    assert download(link, tmp_path / "v", SUM).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("sum_", "size", "message"),
    [("ab" * 32, None, r"has the sha256 \w{64}, not abab"), ("", 5, "has 300000 bytes, not 5")],
)
def test_another_file_than_the_named_one_is_removed(link, tmp_path, sum_, size, message):
    with pytest.raises(CheckpointError, match=message) as error:
        download(link, tmp_path / "w", sum_, size)
    assert link in str(error.value)
    assert not any(file.name in ("w", "w.part") for file in tmp_path.iterdir())


def test_the_beginning_of_a_sum_is_enough(link, tmp_path):
    assert download(link, tmp_path / "w", SUM[:8]).is_file()
    with pytest.raises(CheckpointError, match="sha256"):
        download(link, tmp_path / "v", "0" * 8)


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (503, ATTEMPTS)])
def test_what_is_not_there_is_not_asked_for_again(server, link, tmp_path, status, asked):
    server.status = status
    with pytest.raises(CheckpointError, match=f"the server answers {status}") as error:
        download(link, tmp_path / "w")
    assert len(server.requests) == asked
    assert link in str(error.value)


def test_a_web_page_is_no_file(server, link, tmp_path):
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(CheckpointError, match=r"web page.*browser") as error:
        download(link, tmp_path / "w")
    assert link in str(error.value)
    assert not (tmp_path / "w").exists()


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"no connection \(.*refused"):
        download("http://127.0.0.1:9/weights.pth", tmp_path / "w")


def test_two_processes_fetch_once(server, link, tmp_path):
    script = (
        "import sys, pathlib\nfrom slowfast_ext.released.download import download\n"
        "download(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, link, str(tmp_path / "w")]
    both = [subprocess.Popen(command, env=os.environ) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert (tmp_path / "w").read_bytes() == CONTENT
    assert server.requests == [""]


def test_a_folder_that_cannot_be_written_is_named(link, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="SLOWFAST_EXT_CACHE"):
        download(link, tmp_path / "file" / "w")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache_serves_what_it_has(link, tmp_path):
    (tmp_path / "w").write_bytes(CONTENT)
    tmp_path.chmod(0o500)
    try:
        assert download(link, tmp_path / "w", SUM).is_file()
        with pytest.raises(CheckpointError, match="SLOWFAST_EXT_CACHE"):
            download(link, tmp_path / "v", SUM)
    finally:
        tmp_path.chmod(0o700)


def test_what_the_cache_has_needs_no_lock(link, tmp_path, monkeypatch):
    """A read-only cache, for root too: nothing may be made beside the file."""
    (tmp_path / "w").write_bytes(CONTENT)
    monkeypatch.setattr("slowfast_ext.released.download.file_lock", lambda _: 1 / 0)
    assert download(link, tmp_path / "w", SUM).is_file()
