"""The bench of the engine's step runs on a tiny set."""

import yaml
from engine.tiny_run import SETTINGS

from benchmarks import engine as bench_engine


def test_both_steps_are_timed(tmp_path, capsys):
    tree = {}
    for dotted, value in {**SETTINGS, "DATA.PATH_TO_DATA_DIR": str(tmp_path / "data")}.items():
        *parents, leaf = dotted.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(tree))
    assert bench_engine.main(["--cfg", str(config), "--pairs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "with all guarantees" in printed
    assert "over 2 pairs" in printed
