"""Batches are the same for any number of workers and ranks, and after any resume."""

import resource
import subprocess

import pytest
import torch
from fakes import FakeSource, all_views, make_cfg, make_videos

from slowfast_ext.data.loader import EvalLoader, TrainLoader
from slowfast_ext.data.sampling import View
from slowfast_ext.errors import ConfigError, DataError, WriteError
from slowfast_ext.processes import SIGNALS
from slowfast_ext.tasks import build_task

AUGMENTED = {
    "AUG__AA_TYPE": "rand-m7-n2-mstd0.5-inc1",
    "AUG__RE_PROB": 0.5,
    "AUG__NUM_SAMPLE": 2,
}


def batches(cfg, videos, rank=0, world=1, epoch=3, first_step=0):
    return list(
        TrainLoader.from_cfg(cfg, videos, build_task(cfg), rank, world, FakeSource()).epoch(
            epoch, first_step
        )
    )


def assert_same(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for one, two in zip(ours, theirs, strict=True):
        for name in ("clip_BTCHW", "labels", "index_B", "repeat_B"):
            assert torch.equal(getattr(one, name), getattr(two, name)), name
        assert one.bad == two.bad


def test_a_batch_has_uint8_clips_with_neighbouring_copies():
    batch = batches(make_cfg(**AUGMENTED), make_videos(9))[0]
    assert batch.clip_BTCHW.dtype == torch.uint8
    assert batch.clip_BTCHW.shape == (8, 4, 3, 16, 16)
    assert batch.labels.tolist() == [[i % 3] for i in batch.index_B.tolist()]
    assert batch.repeat_B.tolist() == [0, 1] * 4
    assert (batch.index_B[::2] == batch.index_B[1::2]).all()
    assert not torch.equal(batch.clip_BTCHW[0], batch.clip_BTCHW[1])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_batches(workers):
    videos = make_videos(13, bad={2})
    alone = batches(make_cfg(**AUGMENTED), videos)
    assert_same(alone, batches(make_cfg(DATA_LOADER__NUM_WORKERS=workers, **AUGMENTED), videos))


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_global_batch(world):
    cfg, videos = make_cfg(**AUGMENTED), make_videos(13, bad={2})
    parts = [batches(cfg, videos, rank, world) for rank in range(world)]
    for step, whole in enumerate(batches(cfg, videos)):
        shared = torch.cat([part[step].clip_BTCHW for part in parts])
        assert torch.equal(shared, whole.clip_BTCHW)


@pytest.mark.parametrize("first_step", [0, 1, 2])
def test_a_resumed_epoch_goes_on_as_the_unbroken_one(first_step):
    cfg, videos = make_cfg(**AUGMENTED), make_videos(13)
    assert_same(batches(cfg, videos)[first_step:], batches(cfg, videos, first_step=first_step))


def test_persistent_workers_serve_the_epoch_they_are_asked_for():
    videos = make_videos(13)
    cfg = make_cfg(DATA_LOADER__NUM_WORKERS=2)
    loader = TrainLoader.from_cfg(cfg, videos, build_task(cfg), source=FakeSource())
    next(loader.epoch(0))
    first = list(loader.epoch(1))
    assert_same(first, batches(make_cfg(), videos, epoch=1))
    assert_same(list(loader.epoch(2, 1)), batches(make_cfg(), videos, epoch=2, first_step=1))


def test_the_global_generators_are_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches(make_cfg(**AUGMENTED), make_videos(8))
    assert torch.equal(before, torch.get_rng_state())


def test_epochs_differ_and_the_seed_decides():
    videos = make_videos(8)
    one, two = (batches(make_cfg(), videos, epoch=epoch)[0] for epoch in (0, 1))
    assert not torch.equal(one.clip_BTCHW, two.clip_BTCHW)
    other = batches(make_cfg(RNG_SEED=1), videos, epoch=0)[0]
    assert not torch.equal(one.clip_BTCHW, other.clip_BTCHW)


def test_a_bad_video_is_replaced_and_reported():
    videos = make_videos(8, bad={1, 5})
    seen = batches(make_cfg(), videos)
    reported = [sample for batch in seen for sample in batch.bad]
    assert {sample.index for sample in reported} == {1, 5}
    assert reported[0].location == f"train.csv:{reported[0].index + 1}"
    assert "moov" in reported[0].reason
    indices = torch.cat([batch.index_B for batch in seen])
    assert len(indices) == 8
    assert not set(indices.tolist()) & {1, 5}


class Limited(FakeSource):
    """Limits its process once it has read."""

    def __init__(self, limit, size):
        super().__init__()
        self.limit, self.size = limit, size

    def frames(self, *args, **kwargs):
        found = super().frames(*args, **kwargs)
        resource.setrlimit(self.limit, (self.size, resource.getrlimit(self.limit)[1]))
        return found


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("limit", "size"), [(resource.RLIMIT_FSIZE, 1000), (resource.RLIMIT_NOFILE, 3)]
)
def test_a_batch_that_finds_no_shared_memory_ends_the_run_and_is_not_waited_for(limit, size):
    cfg, videos = make_cfg(DATA_LOADER__NUM_WORKERS=1), make_videos(8)
    loader = TrainLoader.from_cfg(cfg, videos, build_task(cfg), source=Limited(limit, size))
    with pytest.raises(WriteError, match=r"cannot hand over its batch: .+/dev/shm.*NUM_WORKERS 0"):
        list(loader.epoch(0))


def test_nothing_but_bad_videos_ends_the_run():
    with pytest.raises(DataError, match="11 videos in a row"):
        batches(make_cfg(), make_videos(4, bad=range(4)))


def test_two_heads_and_multi_hot_labels():
    two = batches(make_cfg(MODEL__NUM_CLASSES=[3, 3]), make_videos(4, heads=2))[0]
    assert two.labels.shape == (4, 2)
    many = batches(make_cfg(DATA__MULTI_LABEL=True), make_videos(4, multi_label=True))[0]
    assert many.labels.sum(1).tolist() == [2.0] * 4
    assert many.labels.dtype == torch.float32


def test_balanced_sampling_of_a_multi_label_set_is_refused():
    cfg = make_cfg(TRAIN__BALANCED_SAMPLING=True, DATA__MULTI_LABEL=True)
    with pytest.raises(ConfigError, match="BALANCED_SAMPLING"):
        batches(cfg, make_videos(4, multi_label=True))


def evaluate(videos, world=1, workers=0, **values):
    cfg = make_cfg(
        DATA_LOADER__NUM_WORKERS=workers,
        TEST__NUM_ENSEMBLE_VIEWS=2,
        TEST__NUM_SPATIAL_CROPS=3,
        **values,
    )
    return [
        [
            *EvalLoader.from_cfg(
                cfg, videos, all_views(cfg), build_task(cfg), rank, world, FakeSource()
            )
        ]
        for rank in range(world)
    ]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_video_is_evaluated_once(world):
    videos = make_videos(7, bad={3})
    ranks = evaluate(videos, world)
    indices = [i for rank in ranks for batch in rank for i in batch.index_B.tolist()]
    bad = [sample.index for rank in ranks for batch in rank for sample in batch.bad]
    assert sorted(indices) == [0, 1, 2, 4, 5, 6]
    assert bad == [3]


def test_eval_batches_fill_the_view_batch_and_no_more():
    cfg = make_cfg(TEST__VIEW_BATCH=12, TEST__BATCH_SIZE=8)
    three = [View(clip, 1) for clip in range(3)]
    loader = EvalLoader.from_cfg(cfg, make_videos(10), three, build_task(cfg), source=FakeSource())
    sizes = [len(batch.index_B) for batch in loader]
    assert sizes == [4, 4, 2]


def test_eval_workers_do_not_change_the_views():
    videos = make_videos(5, bad={1})
    for one, two in zip(evaluate(videos)[0], evaluate(videos, workers=2)[0], strict=True):
        assert torch.equal(one.clip_BVTCHW, two.clip_BVTCHW)
        assert one.bad == two.bad


def test_a_batch_of_bad_videos_is_empty_but_shaped():
    batch = evaluate(make_videos(1, bad={0}))[0][0]
    assert batch.clip_BVTCHW.shape == (0, 6, 4, 3, 16, 16)
    assert batch.labels.shape == (0, 1)
    assert len(batch.bad) == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_workers_survive_a_signal_to_the_process_group(number):
    """Also one that comes while they start; what their parent tells them they do."""
    cfg = make_cfg(DATA_LOADER__NUM_WORKERS=1)
    loader = TrainLoader.from_cfg(cfg, make_videos(12), build_task(cfg), source=FakeSource())
    epoch = loader.epoch(0)
    for _ in range(2):
        for process in torch.multiprocessing.active_children():
            subprocess.run(["kill", f"-{number.value}", str(process.pid)], check=True)
        next(epoch)
    assert len([*epoch]) == 1
    (worker,) = torch.multiprocessing.active_children()
    worker.terminate()
    worker.join(5)
    assert not worker.is_alive()
