"""The door: a tree becomes a model, and what is wrong with it has the name of its key."""

from dataclasses import replace

import pytest
import torch
from model_cases import FEW_TOKENS, SMALL_VIT, TINY_SPEC, TINY_VIT, attention, small_options, tree
from torch import nn

from slowfast_ext.errors import ConfigError
from slowfast_ext.models import VideoModel, build_model, check_model
from slowfast_ext.models.attention import KERNELS
from slowfast_ext.models.attention.fixation import FixationOptions
from slowfast_ext.models.attention.trajectory import TrajectoryOptions
from slowfast_ext.models.attention.window import WindowOptions
from slowfast_ext.models.backbones import BACKBONES, BackboneSpec
from slowfast_ext.models.build import ModelOptions
from slowfast_ext.tasks import VerbNoun


def keys(cfg):
    return [problem.key for problem in check_model(cfg)]


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_a_tree_builds_what_its_options_build(backbone):
    """Every layer and rate, and every parameter to the bit."""
    parts = (TrajectoryOptions(values="projected"), WindowOptions(reach=2), *FEW_TOKENS)
    parts = (*parts, FixationOptions(mode="cooperative"))
    chosen = attention(
        "trajectory", "window", parts=parts, kernel="lara", dropout=0.1, proj_dropout=0.2
    )
    own = small_options(backbone)
    model = ModelOptions(backbone, init_std=0.1, drop_path=0.3, checkpoint_blocks=(1,))
    cfg = tree(model, chosen, *parts, *own, MODEL__NUM_CLASSES=5, MODEL__DROPOUT_RATE=0.4)
    cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE = [64, 96], 64
    torch.manual_seed(0)
    built = build_model(cfg)
    torch.manual_seed(0)
    spec = BackboneSpec(4, (64, 96), chosen, 0.3, 0.1, (1,))
    direct = BACKBONES.get(backbone)(spec, *own)
    direct = VideoModel(direct, nn.Linear(direct.feature_dim, 5), dropout=0.4, init_std=0.1)
    assert str(built) == str(direct)
    assert built.backbone.recomputed == direct.backbone.recomputed
    assert built.state_dict().keys() == direct.state_dict().keys()
    for name, tensor in direct.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor), name


def test_two_heads_are_a_verb_and_a_noun():
    output = build_model(tree(TINY_VIT, MODEL__NUM_CLASSES=[5, 3]))(torch.randn(2, 3, 4, 32, 32))
    assert isinstance(output, VerbNoun)
    assert (output.verb.shape, output.noun.shape) == ((2, 5), (2, 3))


@pytest.mark.parametrize(
    ("key", "value", "nearest"),
    [
        ("MODEL.BACKBONE", "vitt", "vit"),
        ("ATTENTION.CYCLE", ["joint", "trajektory"], "trajectory"),
        ("ATTENTION.CYCLE", [["joint"], ["splitt"]], "split"),
        ("ATTENTION.KERNEL", "softmaxx", "softmax"),
    ],
)
def test_unknown_names_get_the_nearest(key, value, nearest):
    cfg = tree(TINY_VIT, **{key.replace(".", "__"): value})
    assert keys(cfg) == [key]
    with pytest.raises(ConfigError, match=f"{key}.*did you mean {nearest}"):
        build_model(cfg)


def test_everything_that_is_wrong_is_said_at_once():
    cfg = tree(TINY_VIT, VIT__NUM_HEADS=5, ATTENTION__CYCLE=["emim", "struct"])
    cfg.ATTENTION.EMIM.WINDOW, cfg.ATTENTION.STRUCTSA.KERNEL = [4, 4], [2, 3, 3]
    wrong = ["VIT.EMBED_DIM", "ATTENTION.EMIM.WINDOW", "ATTENTION.STRUCTSA.KERNEL"]
    assert keys(cfg) == wrong
    with pytest.raises(ConfigError) as caught:
        build_model(cfg)
    assert all(key in str(caught.value) for key in wrong)


def test_options_of_what_is_not_used_do_not_matter():
    cfg = tree(TINY_VIT)
    cfg.ATTENTION.EMIM.WINDOW, cfg.ATTENTION.NYSTROM.CONV = [4, 4], 2
    assert keys(cfg) == []
    cfg.ATTENTION.KERNEL = "nystrom"
    assert keys(cfg) == ["ATTENTION.NYSTROM.CONV"]


def test_an_empty_cycle_is_said():
    assert keys(tree(TINY_VIT, ATTENTION__CYCLE=[])) == ["ATTENTION.CYCLE"]


@pytest.mark.parametrize("backbone", BACKBONES.names())
@pytest.mark.parametrize("key", ["DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE"])
@pytest.mark.parametrize("size", [(64, 90), (90, 64)])
def test_clips_that_are_no_squares_are_checked_on_both_sides(backbone, key, size):
    cfg = tree(ModelOptions(backbone), *small_options(backbone))
    cfg.DATA.TRAIN_CROP_SIZE = cfg.DATA.TEST_CROP_SIZE = [64, 96]
    assert keys(cfg) == []
    cfg.DATA[key.removeprefix("DATA.")] = list(size)
    assert keys(cfg) == [key]


@pytest.mark.parametrize("size", [(64, 90), (90, 64)])
def test_position_tables_that_are_no_squares_are_checked(size):
    cfg = tree(SMALL_VIT, VIT__POS_CROP_SIZE=list(size), DATA__TRAIN_CROP_SIZE=[64, 96])
    cfg.DATA.TEST_CROP_SIZE = 64
    assert keys(cfg) == ["VIT.POS_CROP_SIZE"]


def test_patches_that_are_no_squares():
    vit = replace(TINY_VIT, patch_size=(2, 8, 16))
    assert keys(tree(vit, DATA__TRAIN_CROP_SIZE=[40, 32])) == []
    assert keys(tree(vit, DATA__TRAIN_CROP_SIZE=[32, 40])) == ["DATA.TRAIN_CROP_SIZE"]


@pytest.mark.parametrize("kernel", KERNELS.names())
def test_every_kernel_is_known_at_the_door(kernel):
    assert keys(tree(TINY_VIT, ATTENTION__KERNEL=kernel)) == []


def test_what_the_model_of_a_task_asks_for_is_checked_too():
    cfg = tree(SMALL_VIT, TASK="masked_pretraining", VIT__POOL="cls")
    assert keys(cfg) == ["VIT.POOL"]
    cfg.TASK = "a task that is not there"  # which is for the tasks to say
    assert keys(cfg) == []


def test_a_head_starts_in_parts_of_the_usual_width():
    weights = []
    for scale in (1.0, 0.1):
        torch.manual_seed(0)
        backbone = BACKBONES.get("vit")(TINY_SPEC, TINY_VIT)
        model = VideoModel(backbone, nn.Linear(24, 5), init_std=0.5, head_init_scale=scale)
        weights.append(model.head.weight)
    torch.testing.assert_close(weights[1], 0.1 * weights[0])


@pytest.mark.parametrize(
    ("backbone", "options", "size"),
    [
        ("vit", {}, 16),
        ("vit", {"pool": "mean"}, 16),
        ("vit", {"pool": "mean_norm"}, 0),
        ("vit", {"pool": "probe"}, 0),
        ("vit", {"pre_logits": "tanh"}, 0),
        ("vit", {"patch_size": (2, 16, 8)}, 0),
        ("uniformer", {}, 32),
        ("uniformerv2", {}, 0),
        ("xvit", {}, 0),
    ],
)
def test_tokens_that_may_be_labelled_and_their_size(backbone, options, size):
    """Square ones, which a classifier reads as they are."""
    first, *rest = small_options(backbone)
    assert BACKBONES.get(backbone).token_size(replace(first, **options), *rest) == size
