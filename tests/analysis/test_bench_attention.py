"""The attention bench: a table, a picture, and the targets it judges."""

from slowfast_ext.analysis import bench_attention
from slowfast_ext.analysis.bench_attention import FAST, PUBLISHED, Figures, reaches_targets


def test_table_and_picture(tmp_path, capsys):
    picture = tmp_path / "sub" / "attention.png"
    size = ["--frames", "2", "--sides", "2", "3", "--dim", "12", "--heads", "2", "--repeats", "1"]
    bench_attention.main([*size, "--threads", "1", "--picture", str(picture)])
    printed = capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    for variant in bench_attention.VARIANTS:
        assert printed.count(variant.name) >= 2


def test_targets():
    slow = Figures(9, 1.0, 1.0, 4.0, 8.0)
    quick = Figures(9, 1.0, 1.0, 2.0, 4.0)
    greedy = Figures(9, 1.0, 1.0, 1.0, 5.0)
    assert reaches_targets({PUBLISHED.name: [slow], FAST.name: [quick]})
    assert not reaches_targets({PUBLISHED.name: [slow], FAST.name: [greedy]})
    assert not reaches_targets({PUBLISHED.name: [quick], FAST.name: [quick]})
