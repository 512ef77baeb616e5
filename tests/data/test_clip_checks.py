"""Configurations of clips that cannot work are named before anything runs."""

import pytest
from fakes import make_cfg

from slowfast_ext.data.clip_checks import check_clips


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DATA__TRAIN_JITTER_SCALES", [12, 20]),
        ("DATA__TRAIN_JITTER_SCALES", [22, 18]),
        ("DATA__TRAIN_JITTER_SCALES", []),
        ("DATA__TRAIN_JITTER_SCALES_RELATIVE", [1.0, 0.08]),
        ("DATA__TRAIN_JITTER_ASPECT_RELATIVE", [0.0, 1.0]),
        ("DATA__STD", [0.2, 0.0, 0.2]),
        ("AUG__AA_TYPE", "rand-m7n4"),
    ],
)
def test_a_mistake_is_one_problem_of_its_key(key, value):
    problems = [*check_clips(make_cfg(**{key: value}))]
    assert [problem.key for problem in problems] == [key.replace("__", ".")]


def test_one_kind_of_crop_is_enough():
    cfg = make_cfg(
        DATA__TRAIN_JITTER_SCALES_RELATIVE=[0.08, 1.0], DATA__TRAIN_MULTI_SCALE_CROP=[1.0]
    )
    assert [p.key for p in check_clips(cfg)] == ["DATA.TRAIN_MULTI_SCALE_CROP"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"AUG__ENABLE": False, "AUG__AA_TYPE": "no policy"},
        {"TRAIN__ENABLE": False, "DATA__TRAIN_JITTER_SCALES": [1, 2]},
        {"DATA__TRAIN_JITTER_SCALES": [], "DATA__TRAIN_JITTER_SCALES_RELATIVE": [0.08, 1.0]},
        {"DATA__TRAIN_JITTER_SCALES": [], "DATA__TRAIN_MULTI_SCALE_CROP": [1, 0.875]},
    ],
)
def test_what_works_is_no_problem(values):
    assert [*check_clips(make_cfg(**values))] == []
