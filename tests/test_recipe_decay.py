"""Which parameters the published programs leave without weight decay."""

import pytest
import torch
from recipe_values import EXP

from slowfast_ext.config import load_config, options_of
from slowfast_ext.engine.optim import SolverOptions, parameter_groups
from slowfast_ext.models import build_model

ONE_DIMENSION = object()
WITHOUT_DECAY = {
    "timesformer_b_k400": set(),  # optimizer.py: all but names with "bn"; no_weight_decay() is called nowhere
    "motionformer_k400": set(),
    "xvit_b16_ssv2": {"head.bias"},  # classifier_parameters_b has BN.WEIGHT_DECAY, which is 0
    # no_weight_decay() of modeling_pretrain.py
    "videomae_pretrain_b_ssv2": {ONE_DIMENSION, "head.mask_token"},
}


@pytest.mark.parametrize("name", WITHOUT_DECAY)
def test_what_does_not_decay(name):
    cfg = load_config([EXP / name / "config.yaml"])
    with torch.device("meta"):
        model = build_model(cfg)
    groups = parameter_groups(options_of(cfg, SolverOptions), model)
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    spared = {
        ONE_DIMENSION if parameter.ndim == 1 and ONE_DIMENSION in WITHOUT_DECAY[name] else key
        for key, parameter in model.named_parameters()
        if not decays[id(parameter)]
    }
    assert spared == WITHOUT_DECAY[name]
