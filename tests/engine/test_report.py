from tiny_run import config, train

from slowfast_ext.analysis.report.picture import draw_run
from slowfast_ext.data.annotations import read_videos


def test_picture_shows_clips_of_different_classes_and_both_curves(settings, tmp_path):
    train(settings)
    cfg = config(settings)
    figure = draw_run(cfg, read_videos(cfg, "val"), num_clips=3)
    clips, curve = figure.subfigs
    titles = {axis.get_title(loc="left") for axis in clips.axes} - {""}
    assert len(titles) == 3
    assert [len(line.get_xdata()) for line in curve.axes[0].lines] == [2, 2]
    figure.savefig(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 1000
