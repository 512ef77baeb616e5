"""The bench of loading compares ways that do the same."""

import pytest

from benchmarks import data as bench_data
from benchmarks.sample_clip import render_clip
from slowfast_ext.data.decode.decord_reader import DecordReader
from slowfast_ext.data.sampling import ViewOptions


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = str(tmp_path_factory.mktemp("bench") / "clip.mp4")
    render_clip(target, 60)
    return target


@pytest.mark.parametrize("way", ["ours_decode", "GuardedDecode", "ours_training"])
def test_a_way_takes_time(path, way):
    assert 0 < bench_data.measure(way, path, 1, 1) < 5000


def test_both_processes_are_counted(path):
    """Decoding happens in the other one."""
    guarded = bench_data.GuardedDecode(path, 1)
    guarded(0)
    before, ours = guarded.cpu_seconds(), bench_data.time.process_time()
    guarded(1)
    total, own = guarded.cpu_seconds() - before, bench_data.time.process_time() - ours
    guarded.source.close()
    assert total > 2 * own


def test_views_show_the_same(path):
    """Floats in one way, bytes with antialiasing in the other: two levels of grey apart on average."""
    if DecordReader.missing():
        pytest.skip(DecordReader.missing())
    two = ViewOptions(num_ensemble_views=2)
    ours = bench_data.ours_views(path, 1, two)(0)
    plain = bench_data.plain_views(path, 1, two)(0)
    assert ours.shape[1:] == (6, 16, 3, 224, 224)
    levels = (plain * bench_data.STD + bench_data.MEAN) * 255
    difference = (ours[0].float() - levels.view(6, 16, 3, 224, 224)).abs()
    assert difference.mean() < 2
