"""The bench of loading compares ways that do the same."""

import time

import pytest

from benchmarks import data as bench_data
from benchmarks import data_ways, packs
from benchmarks.sample_clip import render_clip
from slowfast_ext.data.decode.decord_reader import DecordReader
from slowfast_ext.data.sampling import ViewOptions


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = str(tmp_path_factory.mktemp("bench") / "clip.mp4")
    render_clip(target, 60)
    return target


@pytest.mark.parametrize(
    "way", ["ours_decode", "GuardedDecode", "ours_training", "sensible_training"]
)
def test_a_way_takes_time(path, way):
    assert 0 < bench_data.timed(way, path, 1, 1) < 5000


def test_both_processes_are_counted(path):
    """Decoding happens in the other one."""
    guarded = data_ways.GuardedDecode(path, 1)
    guarded(0)
    before, ours = guarded.cpu_seconds(), time.process_time()
    guarded(1)
    total, own = guarded.cpu_seconds() - before, time.process_time() - ours
    guarded.source.close()
    assert total > 2 * own


def test_views_show_the_same(path):
    """Plain: floats in one way, bytes with antialiasing in the other, two levels of grey apart on average."""
    if DecordReader.missing():
        pytest.skip(DecordReader.missing())
    two = ViewOptions(num_ensemble_views=2)
    ours = data_ways.ours_views(path, 1, two)(0)
    plain = data_ways.plain_views(path, 1, two)(0)
    assert ours.shape[1:] == (6, 16, 3, 224, 224)
    levels = (plain * data_ways.STD + data_ways.MEAN) * 255
    sensible = data_ways.sensible_views(path, 1, two)(0).permute(0, 1, 4, 2, 3)
    assert (ours[0].float() - sensible.float()).abs().mean() < 0.5
    difference = (ours[0].float() - levels.view(6, 16, 3, 224, 224)).abs()
    assert difference.mean() < 2


@pytest.fixture
def own_environment(monkeypatch):
    """What the bench sets ends with the test."""
    names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL", "DEFAULT_REGION")
    for name in ("XDG_CACHE_HOME", *(f"AWS_{name}" for name in names)):
        monkeypatch.setenv(name, "")


@pytest.mark.usefixtures("own_environment")
def test_packs_are_compared_with_loose_files(tmp_path, capsys):
    assert packs.main(["--videos", "3", "--passes", "1", "--folder", str(tmp_path)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| clips")]
    assert len(rows) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("own_environment")
def test_packs_in_memory_and_in_a_bucket_stand_beside_them(tmp_path, capsys, monkeypatch):
    """Each cold pass over the bucket fetches its index again."""
    for name in ("moto.server", "s3fs"):
        pytest.importorskip(name, reason="moto[server] or s3fs is not installed")
    monkeypatch.setattr(packs, "FRAMES", 33)
    fetched, forget = [], packs.forget

    def forgetting(roots, own, command):
        fetched.append(len(list(own.rglob("packs/*"))))
        forget(roots, own, command)
        assert not list(own.rglob("packs/*"))

    monkeypatch.setattr(packs, "forget", forgetting)
    argv = ["--videos", "2", "--passes", "1", "--folder", str(tmp_path), "--memory", str(tmp_path)]
    assert packs.main([*argv, "--bucket"]) == 0
    printed = capsys.readouterr().out
    for storage in ("loose", "packed", "packed, in memory", "packed, bucket"):
        for start in ("cold", "warm"):
            assert f"| clips | {storage} | {start} |" in printed
    assert any(fetched)
