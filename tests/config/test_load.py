import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_ext.config import get_cfg, load_config
from slowfast_ext.config.explain import changed_keys, describe, explain
from slowfast_ext.config.schema import get_dotted, schema
from slowfast_ext.errors import ConfigError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_bases_are_relative_and_later_wins(tmp_path):
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts/a.yaml", "SOLVER:\n  BASE_LR: 1.0\n  MAX_EPOCH: 5\n")
    write(tmp_path / "parts/b.yaml", "SOLVER:\n  BASE_LR: 2.0\n")
    top = write(
        tmp_path / "top.yaml", "_BASE_: [parts/a.yaml, parts/b.yaml]\nTRAIN:\n  BATCH_SIZE: 3\n"
    )
    cfg = load_config([top], ["TRAIN.BATCH_SIZE", "7"])
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_EPOCH, cfg.TRAIN.BATCH_SIZE) == (2.0, 5, 7)
    assert cfg.is_frozen()


def test_all_problems_at_once_with_file_line_and_suggestion(tmp_path):
    file = write(
        tmp_path / "bad.yaml", "TRAIN:\n  BATCHSIZE: 8\nSOLVER:\n  BASE_LR: fast\n  STEPS: 3\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config([file], ["TRAIN.PRECISION", "fp8"])
    message = str(caught.value)
    assert "4 problems" in message
    assert f"{file}:2" in message
    assert "TRAIN.BATCH_SIZE" in message
    assert f"{file}:4" in message
    assert "'fast'" in message
    assert "fp32 | bf16 | fp16" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "KEY: value"),
        ("TRAIN: [", r"self\.yaml:1: not valid YAML"),
        ("_BASE_: self.yaml\n", "leads back"),
        ("_BASE_: missing.yaml\n", "no such configuration file"),
    ],
)
def test_unreadable_files_name_themselves(tmp_path, text, words):
    file = write(tmp_path / "self.yaml", text)
    with pytest.raises(ConfigError, match=words):
        load_config([file])


def test_odd_number_of_overrides():
    with pytest.raises(ConfigError, match="KEY VALUE"):
        load_config([], ["TRAIN.BATCH_SIZE"])


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("SOLVER.BASE_LR", "1e-4", 1e-4),
        ("SOLVER.BASE_LR", "1", 1.0),
        ("DATA.MEAN", "[0.1, 0.2, 0.3]", [0.1, 0.2, 0.3]),
        ("DATA.MEAN", "(0.1, 0.2, 0.3)", [0.1, 0.2, 0.3]),
        ("MODEL.NUM_CLASSES", "[97, 300]", [97, 300]),
        ("TRAIN.ENABLE", "False", False),
        ("OUTPUT_DIR", "2026", "2026"),
        ("DATA.PATH_LABEL_SEPARATOR", ",", ","),
    ],
)
def test_command_line_values_are_read_as_meant(key, text, value):
    assert get_dotted(load_config([], [key, text]), key) == value


@pytest.mark.parametrize("value", ["True", "1.5", "-1"])
def test_wrong_kinds_are_refused(value):
    with pytest.raises(ConfigError, match=r"TRAIN\.BATCH_SIZE"):
        load_config([], ["TRAIN.BATCH_SIZE", value])


@given(st.sampled_from(sorted(schema())))
def test_every_default_is_allowed_and_explained(dotted):
    key = schema()[dotted]
    assert key.complaint(get_dotted(get_cfg(), dotted)) is None
    assert key.help in explain(dotted)


def test_description_loads_back(tmp_path):
    cfg = load_config([], ["SOLVER.BASE_LR", "0.5", "ATTENTION.CYCLE", "[joint, joint]"])
    file = write(tmp_path / "printed.yaml", describe(cfg))
    again = load_config([file])
    assert again == cfg
    assert changed_keys(again) == {"SOLVER.BASE_LR": 0.5, "ATTENTION.CYCLE": ["joint", "joint"]}


def test_explain_suggests():
    with pytest.raises(ConfigError, match=r"SOLVER\.BASE_LR"):
        explain("SOLVER.BASELR")
