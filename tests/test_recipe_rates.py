"""Learning rates over the published trainings, as facts read in the programs, against the experiments that follow them."""

import math

import pytest
from recipe_values import EXP

from slowfast_ext.config import load_config
from slowfast_ext.engine.run import Recipe


def cosine(base, end, epoch, epochs, warmup=0.0, start=0.0, after=False):
    """PySlowFast's get_lr_at_epoch, and timm's cosine, whose warm-up covers the beginning of the fall."""

    def fall(at):
        offset = warmup if after else 0.0
        return end + (base - end) * (1 + math.cos(math.pi * (at - offset) / (epochs - offset))) / 2

    if epoch >= warmup:
        return fall(epoch)
    return start + epoch * (fall(warmup) - start) / warmup


KINETICS = {"end": 1e-6, "start": 1e-6, "epochs": 110, "warmup": 10, "after": True}
SSV = KINETICS | {"epochs": 50, "warmup": 5}
SCHEDULES = {
    # name: nodes, then the numbers of the program's run.sh, its scaling of them by nodes done
    "uniformer_s16x4_k400": (1, KINETICS | {"base": 1e-4}),
    "uniformer_s8x8_k400": (1, KINETICS | {"base": 4e-4, "epochs": 100}),
    "uniformer_b16x4_k400": (1, KINETICS | {"base": 1.25e-4}),
    "uniformer_s16_sthv2_prek400": (1, SSV | {"base": 2e-4}),
    # run.sh of b32x4_k600: 4 nodes, and the only one that leaves BASE_LR_SCALE_NUM_SHARDS True (config.yaml)
    "uniformer_b32x4_k600": (4, KINETICS | {"base": 4e-4, "end": 4e-6, "start": 4e-6}),
    # EMIM's run.sh on several nodes set BASE_LR_SCALE_NUM_SHARDS False: BASE_LR is the rate, the ends stay
    "uniformer_s16x4_k400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG_ok": (2, KINETICS | {"base": 2e-4}),
    "uniformer_b16x4_k400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": (4, KINETICS | {"base": 5e-4}),
    "uniformer_b32x4_k400_uniformer_extra_attn128_ATTN_ATTN_7_7_LG": (8, KINETICS | {"base": 8e-4}),
    "uniformer_b32_sthv1_prek400_uniformer_extra_attn64_ATTN_ATTN_7_7_LG": (
        2,
        SSV | {"base": 4e-4, "epochs": 60},
    ),
    "uniformer_b32_sthv2_prek400_uniformer_extra_attn128_ATTN_ATTN_7_7_LG": (4, SSV | {"base": 8e-4}),
    "uniformer_b_in1k": (
        1,
        {"base": 4e-4 * 1024 / 512, "end": 1e-5, "start": 1e-6, "epochs": 300, "warmup": 5},
    ),
    "uniformer_b_tl_in1k": (
        1,
        {"base": 1.6e-3, "end": 1e-5, "start": 1e-6, "epochs": 300, "warmup": 5},
    ),
    "xvit_b16_k400": (1, {"base": 0.03, "end": 0, "start": 0.01, "epochs": 30, "warmup": 5}),
    "xvit_b16_ssv2": (1, {"base": 0.03, "end": 0, "start": 0.003, "epochs": 35, "warmup": 5}),
    # 32 GPUs x 32 videos x 2 clips; run_finetuning.py:537-539 multiplies lr, min_lr and warmup_lr by clips / 256
    "internvideo2_b_k400": (
        4,
        {"base": 1.6e-4, "end": 8e-6, "start": 8e-6, "epochs": 5, "warmup": 1, "after": True},
    ),
    # scenic's vivit_base_k400.py, which scales nothing by the batch
    "vivit_b_k400": (1, {"base": 0.1, "end": 0, "start": 0, "epochs": 30, "warmup": 2.5, "after": True}),
    "vjepa2_l_ssv2": (8, {"base": 1e-3, "end": 0, "epochs": 20, "warmup": 0}),
    "videomae_b_k400": (
        8,
        {"base": 5e-4 * 1.5, "end": 1.5e-6, "start": 1.5e-6, "epochs": 75, "warmup": 5, "after": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_rate_over_the_training(name):
    nodes, numbers = SCHEDULES[name]
    recipe = Recipe.from_cfg(load_config([EXP / name / "config.yaml"], ["NUM_SHARDS", str(nodes)]))
    warmup, epochs = numbers["warmup"], numbers["epochs"]
    for epoch in (0.0, 0.3 * warmup, warmup, 0.6 * epochs, epochs - 0.5):
        rate = cosine(epoch=epoch, **numbers)
        assert recipe.learning_rate(epoch) == pytest.approx(rate, rel=1e-9)


def test_token_labels_end_with_ten_epochs_at_the_last_rate():
    """timm counts its cooldown beyond `epochs`, and LV-ViT's program trains through it."""
    recipe = Recipe.from_cfg(load_config([EXP / "uniformer_s_tl_in1k/config.yaml"]))
    assert recipe.learning_rate(299) > 1e-5
    for epoch in (300, 305, 309.9):
        assert recipe.learning_rate(epoch) == 1e-5


def test_the_audited_point_of_xvits_schedule():
    recipe = Recipe.from_cfg(load_config([EXP / "xvit_b16_k400/config.yaml"]))
    assert recipe.learning_rate(15) == pytest.approx(0.015)


@pytest.mark.parametrize("frames", [8, 64, 640])
def test_rates_of_a_small_batch_never_rise_at_the_end(frames):
    cfg = load_config(
        [EXP / "uniformerv2_b8_k400_prek710/config.yaml"], ["TRAIN.BATCH_SIZE", str(frames)]
    )
    recipe = Recipe.from_cfg(cfg)
    rates = [recipe.learning_rate(epoch) for epoch in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert rates == sorted(rates, reverse=True)
