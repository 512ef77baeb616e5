import pytest
import torch
import torch.nn.functional as F

from slowfast_ext.config import load_config
from slowfast_ext.tasks import build_task
from slowfast_ext.tasks.multi_label import MultiLabel
from slowfast_ext.tasks.single_label import SingleLabel, inverse_frequency


def test_equals_torch_cross_entropy_over_heads():
    cfg = load_config([], ["MODEL.NUM_CLASSES", "[3, 4]"])
    loss = build_task(cfg).loss
    logits = torch.randn(5, 3), torch.randn(5, 4)
    labels = torch.randint(3, (5,)), torch.randint(4, (5,))
    targets = [F.one_hot(label, k).float() for label, k in zip(labels, (3, 4), strict=True)]
    expected = sum(F.cross_entropy(x, y) for x, y in zip(logits, labels, strict=True)) / 2
    torch.testing.assert_close(loss(logits, targets), expected)


def test_class_weights_have_mean_one_over_the_videos():
    weights = inverse_frequency([6, 2, 0, 4])
    assert weights.tolist() == pytest.approx([12 / 18, 2.0, 0.0, 1.0])
    assert (weights * torch.tensor([6, 2, 0, 4])).sum() / 12 == pytest.approx(1.0)


def test_rare_classes_weigh_more():
    cfg = load_config([], ["MODEL.NUM_CLASSES", "2", "TRAIN.CLASS_WEIGHTS", "inverse"])
    loss = build_task(cfg, [(0,), (0,), (0,), (1,)]).loss
    logits = torch.zeros(1, 2)
    common, rare = (loss(logits, [torch.eye(2)[[k]]]) for k in (0, 1))
    assert rare.item() == pytest.approx(3 * common.item())


def test_multi_label():
    cfg = load_config([], ["MODEL.NUM_CLASSES", "3", "DATA.MULTI_LABEL", "True"])
    logits, targets = torch.randn(2, 3), torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(build_task(cfg).loss(logits, [targets]), expected)


def test_label_smoothing_by_hand():
    """1 - s of the label and s shared by all classes; towards 1/2 where each class is a question of its own."""
    single = SingleLabel((4,), label_smoothing=0.2).targets(torch.tensor([[1]]))[0]
    torch.testing.assert_close(single, torch.tensor([[0.05, 0.85, 0.05, 0.05]]))
    many = MultiLabel((3,), label_smoothing=0.2).targets(torch.tensor([[1.0, 0.0, 1.0]]))[0]
    torch.testing.assert_close(many, torch.tensor([[0.9, 0.1, 0.9]]))


def test_running_sums_count_clips():
    logits, targets = torch.eye(3)[[0, 1, 2, 2]], [torch.eye(3)[[0, 1, 2, 0]]]
    assert [float(x) for x in SingleLabel((3,)).running_sums(logits, targets)] == [300.0, 400.0]
    assert [float(x) for x in MultiLabel((3,)).running_sums(logits, targets)] == [300.0]
