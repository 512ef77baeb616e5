"""The order in which batches are copied, waited for and handed out, told by copies that write down what they do."""

from collections import Counter

import torch

from slowfast_ext.data.batch import Batch, EvalBatch
from slowfast_ext.data.prefetch import copied_ahead, on_device


def batch(number):
    clip = torch.full((1, 2, 3, 4, 4), number, dtype=torch.uint8)
    index = torch.tensor([number])
    return Batch(clip, index[:, None], index, torch.zeros(1), [], Counter())


class Recorded:
    """Copies onto the meta device, a GPU without one: nothing can be read back from it unnoticed."""

    def __init__(self):
        self.events = []

    def __call__(self, tensor):
        self.number = int(tensor.flatten()[0])
        self.events.append(f"copy {self.number}")
        return tensor.to("meta")

    def done(self):
        number = self.number
        return lambda tensors: self.events.append(f"wait {number}, keep {len(tensors)}")


def test_next_batch_is_on_its_way_before_one_is_computed_with():
    copies = Recorded()
    for ready in copied_ahead(map(batch, range(3)), copies):
        copies.events.append(f"compute {int(ready.index_B)}")
        assert ready.clip_BTCHW.is_meta
        assert ready.labels.is_meta
        assert not ready.index_B.is_meta, "the host reads the videos' numbers: no copy back"
    clip_and_labels = 2
    assert copies.events == [
        *["copy 0"] * clip_and_labels,
        *["copy 1"] * clip_and_labels, "wait 0, keep 2", "compute 0",
        *["copy 2"] * clip_and_labels, "wait 1, keep 2", "compute 1",
        "wait 2, keep 2", "compute 2",
    ]  # fmt: skip


def test_no_batch_and_one_batch():
    assert not list(copied_ahead([], Recorded()))
    assert len(list(copied_ahead([batch(0)], Recorded()))) == 1


def test_on_a_cpu_nothing_is_copied_and_nothing_is_read_ahead():
    asked = []

    def loader():
        for number in range(2):
            asked.append(number)
            yield batch(number)

    batches = on_device(loader(), torch.device("cpu"))
    given = batch(0)
    assert next(iter(on_device([given], torch.device("cpu")))).clip_BTCHW is given.clip_BTCHW
    next(batches)
    assert asked == [0]


def test_labels_of_an_evaluation_stay_on_the_host():
    views = torch.zeros(1, 2, 1, 3, 4, 4, dtype=torch.uint8)
    numbers = torch.tensor([[0]])
    (moved,) = copied_ahead([EvalBatch(views, numbers, numbers[0], [], Counter())], Recorded())
    assert moved.clip_BVTCHW.is_meta
    assert not moved.labels.is_meta
