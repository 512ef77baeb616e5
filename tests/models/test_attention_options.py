"""Options of models: bounds, choices and what does not fit together, by the key that a user types."""

import pytest

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import AttentionOptions
from slowfast_ext.models.attention.emim import EmimOptions
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.lara import LaraOptions
from slowfast_ext.models.attention.linear import LinearOptions
from slowfast_ext.models.attention.linformer import LinformerOptions
from slowfast_ext.models.attention.neighbour import NeighbourOptions
from slowfast_ext.models.attention.nystrom import NystromOptions
from slowfast_ext.models.attention.orthoformer import OrthoformerOptions
from slowfast_ext.models.attention.performer import PerformerOptions
from slowfast_ext.models.attention.structsa import StructsaOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.attention.window import WindowOptions
from slowfast_ext.models.attention.xvit_mixing import MixingOptions
from slowfast_ext.models.backbones.uniformer import UniformerOptions
from slowfast_ext.models.backbones.vit import VitOptions
from slowfast_ext.models.backbones.xvit import XvitOptions
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.models.weights import LoadOptions
from slowfast_ext.options import OptionError

WRONG = [
    ("ATTENTION.CYCLE", AttentionOptions, {"cycle": ()}),
    ("ATTENTION.CYCLE", AttentionOptions, {"cycle": ((), ("joint",))}),
    ("ATTENTION.DROPOUT", AttentionOptions, {"dropout": 1.5}),
    ("ATTENTION.PROJ_DROPOUT", AttentionOptions, {"proj_dropout": -0.1}),
    ("ATTENTION.REFERENCE", AttentionOptions, {"reference": 1}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": (4, 7)}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": (7,)}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": ()}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": (-1, 7)}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": ((5, 5), (3, 4))}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": ((5, 5), ())}),
    ("ATTENTION.EMIM.WINDOW", EmimOptions, {"window": ((5, 5), 3)}),
    ("ATTENTION.EMIM.CONTEXT_CHANNELS", EmimOptions, {"context_channels": 16}),
    ("ATTENTION.STRUCTSA.D", StructsaOptions, {"structures": 0}),
    ("ATTENTION.STRUCTSA.KERNEL", StructsaOptions, {"kernel": (2, 3, 3)}),
    ("ATTENTION.STRUCTSA.KERNEL", StructsaOptions, {"kernel": (3, 3)}),
    ("ATTENTION.STRUCTSA.KERNEL", StructsaOptions, {"kernel": ((3, 3, 3), (3, 3, 2))}),
    ("ATTENTION.STRUCTSA.STRIDE", StructsaOptions, {"stride": 0}),
    ("ATTENTION.STRUCTSA.STRIDE", StructsaOptions, {"stride": (1, 0)}),
    ("ATTENTION.STRUCTSA.STRIDE", StructsaOptions, {"stride": ()}),
    ("ATTENTION.STRUCTSA.AGGREGATION", StructsaOptions, {"aggregation": "sum"}),
    ("ATTENTION.NYSTROM.CONV", NystromOptions, {"conv": 4}),
    ("ATTENTION.NYSTROM.CONV", NystromOptions, {"conv": -1}),
    ("ATTENTION.NYSTROM.LANDMARKS", NystromOptions, {"landmarks": 0}),
    ("ATTENTION.NYSTROM.INVERSE_STEPS", NystromOptions, {"inverse_steps": (6, 6)}),
    (
        "ATTENTION.NEIGHBOUR.TEMPORAL_FRACTION",
        NeighbourOptions,
        {"temporal_fraction": 0.25, "spatial_fraction": 0.2},
    ),
    ("ATTENTION.NEIGHBOUR.TEMPORAL_FRACTION", NeighbourOptions, {"temporal_fraction": 0.6}),
    ("ATTENTION.NEIGHBOUR.SPATIAL_FRACTION", NeighbourOptions, {"spatial_fraction": 0.3}),
    ("ATTENTION.NEIGHBOUR.ORDER", NeighbourOptions, {"order": "first"}),
    ("ATTENTION.FIXATION.MODE", FixationOptions, {"mode": True}),
    ("ATTENTION.FIXATION.LAYERS", FixationOptions, {"layers": 3}),
    ("ATTENTION.LARA.LANDMARKS", LaraOptions, {"landmarks": 0}),
    ("ATTENTION.LARA.ALPHA", LaraOptions, {"alpha": float("nan")}),
    ("ATTENTION.LARA.ESTIMATOR", LaraOptions, {"estimator": "mis"}),
    ("ATTENTION.LINEAR.OFFSET", LinearOptions, {"offset": -0.1}),
    ("ATTENTION.LINFORMER.DIM", LinformerOptions, {"dim": 0}),
    ("ATTENTION.ORTHOFORMER.SUBSAMPLE", OrthoformerOptions, {"subsample": 1.5}),
    ("ATTENTION.PERFORMER.FEATURES", PerformerOptions, {"features": 2.5}),
    ("ATTENTION.TRAJECTORY.NORM", TrajectoryOptions, {"norm": "time"}),
    ("ATTENTION.WINDOW.REACH", WindowOptions, {"reach": True}),
    ("ATTENTION.MIXING.SHIFT_DIV", MixingOptions, {"shift_div": 1}),
    ("VIT.PATCH_SIZE", VitOptions, {"patch_size": (16, 16)}),
    ("VIT.PATCH_SIZE", VitOptions, {"patch_size": ()}),
    ("VIT.EMBED_DIM", VitOptions, {"num_heads": 5}),
    ("VIT.POS_CROP_SIZE", VitOptions, {"pos_crop_size": (224,)}),
    ("VIT.POOL", VitOptions, {"pool": "max"}),
    ("XVIT.CONSENSUS", XvitOptions, {"consensus": "mean"}),
    ("UNIFORMER.DEPTH", UniformerOptions, {"depth": (1, 2, 3)}),
    ("UNIFORMER.EMBED_DIM", UniformerOptions, {"embed_dim": ()}),
    ("UNIFORMER.HEAD_DIM", UniformerOptions, {"head_dim": 7}),
    ("UNIFORMER.TEMPORAL_STRIDE", UniformerOptions, {"temporal_stride": 3}),
    ("MODEL.DROP_PATH", ModelOptions, {"drop_path": 2}),
    ("TRAIN.CHECKPOINT_INFLATE", LoadOptions, {"inflate": "max"}),
]


@pytest.mark.parametrize(("key", "kind", "values"), WRONG, ids=str)
def test_what_cannot_be_is_named(key, kind, values):
    with pytest.raises(OptionError, match=rf"^{key} .*; ") as caught:
        kind(**values)
    assert caught.value.key == key
    assert isinstance(caught.value, ConfigError)


def test_the_limits_themselves_are_fine():
    assert NeighbourOptions(temporal_fraction=0.5, spatial_fraction=0.0).temporal_fraction == 0.5
    assert NeighbourOptions(temporal_fraction=0.0, spatial_fraction=0.25).spatial_fraction == 0.25
    assert NystromOptions(conv=0).conv == 0
    assert NystromOptions(conv=35).conv == 35
    assert EmimOptions(window=[1, 1]).window == (1, 1)
    assert EmimOptions(window=[[5, 3], [1, 1]]).window == ((5, 3), (1, 1))
    assert StructsaOptions(stride=[2, 1]).stride == (2, 1)
    assert VitOptions(pos_crop_size=[64, 96]).pos_crop_size == (64, 96)


def test_parts_are_found_by_their_class():
    options = AttentionOptions(parts=(EmimOptions(window=(3, 3)), WindowOptions(reach=4)))
    assert options.of(WindowOptions).reach == 4
    assert options.of(EmimOptions).window == (3, 3)
    assert options.of(LaraOptions) == LaraOptions()
