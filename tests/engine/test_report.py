from result_files import unpacked
from tiny_run import config

from slowfast_ext.analysis.report import build_report
from slowfast_ext.cli.jobs import train_and_test


def test_a_page_of_what_training_and_testing_leave(settings):
    train_and_test(config(settings))
    data = unpacked(build_report([settings["OUTPUT_DIR"]]))
    (run,) = data["runs"]
    assert run["notes"] == []
    assert run["protocol"] == {"videos": 13, "evaluated": 13, "views": 6}
    assert len(run["curves"]["val/top1_acc"]["x"]) == 2
    (head,) = run["heads"]
    assert len(head["classes"]) == 12
    assert head["decoded"].sum() == 13
    hits = (head["rank"] == 0).mean() * 100
    assert abs(hits - run["metrics"]["top1_acc"]) < 1e-6
    assert len(data["films"]) == 13
