"""Which videos a step sees: the same for any number of ranks, resumable, balanced when asked."""

from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_ext.data.samplers import Draw, eval_shard, steps_per_epoch, train_batches
from slowfast_ext.errors import ConfigError


def whole_epoch(num_videos, batch, world=1, **kwargs):
    """Global batches, put together from the ranks' slices."""
    ranks = [
        list(train_batches(num_videos, batch, 7, 3, rank, world, **kwargs)) for rank in range(world)
    ]
    return [list(chain(*step)) for step in zip(*ranks, strict=True)]


@given(num_videos=st.integers(1, 60), share=st.integers(1, 5), world=st.integers(1, 4))
def test_ranks_slice_the_same_global_batches(num_videos, share, world):
    batch = share * world
    assert whole_epoch(num_videos, batch, world) == whole_epoch(num_videos, batch)


@given(num_videos=st.integers(1, 60), batch=st.integers(1, 20))
def test_an_epoch_has_whole_batches_of_different_videos(num_videos, batch):
    batches = whole_epoch(num_videos, batch)
    assert len(batches) == steps_per_epoch(num_videos, batch)
    assert {len(step) for step in batches} == {batch}
    draws = [draw for step in batches for draw in step]
    assert len(set(draws)) == len(draws)
    repeats = Counter(draw.index for draw in draws)
    assert set(repeats) <= set(range(num_videos))
    if num_videos >= batch:
        assert set(repeats.values()) == {1}
    else:
        assert max(repeats.values()) - min(repeats.values()) <= 1


@given(num_videos=st.integers(1, 60), batch=st.integers(1, 20), data=st.data())
def test_a_resumed_epoch_is_the_rest_of_the_unbroken_one(num_videos, batch, data):
    step = data.draw(st.integers(0, steps_per_epoch(num_videos, batch)))
    unbroken = whole_epoch(num_videos, batch)
    assert whole_epoch(num_videos, batch, first_step=step) == unbroken[step:]


@given(num_videos=st.integers(1, 60), share=st.integers(1, 5), repeats=st.integers(1, 4))
def test_repeated_draws_fill_an_epoch_with_fewer_videos(num_videos, share, repeats):
    batch = share * repeats
    batches = whole_epoch(num_videos, batch, repeats=repeats)
    assert len(batches) == steps_per_epoch(num_videos, batch)
    for step in batches:
        assert len(set(step)) == batch, "each draw is augmented on its own"
        assert all(n % repeats == 0 for n in Counter(draw.index for draw in step).values())
        parts = [step[first : first + share] for first in range(0, batch, share)]
        videos = [[draw.index for draw in part] for part in parts]
        assert videos == [videos[0]] * repeats, "as many ranks have one of the repeats each"


def test_repeated_draws_are_the_same_for_any_number_of_ranks_and_after_a_resume():
    unbroken = whole_epoch(50, 12, repeats=3)
    assert whole_epoch(50, 12, world=4, repeats=3) == unbroken
    assert whole_epoch(50, 12, first_step=2, repeats=3) == unbroken[2:]
    balanced = whole_epoch(12, 12, repeats=3, classes=[0] * 9 + [1] * 3)
    assert Counter(draw.index >= 9 for draw in balanced[0]) == {True: 6, False: 6}


def test_epochs_are_shuffled_differently():
    one, two = (next(train_batches(50, 50, 0, epoch)) for epoch in (0, 1))
    assert [draw.index for draw in one] != [draw.index for draw in two]
    assert one[0] == Draw(0, one[0].index, 0)


def test_a_batch_that_ranks_cannot_share_is_refused():
    with pytest.raises(ConfigError, match="BATCH_SIZE"):
        next(train_batches(10, 6, 0, 0, 0, 4))


@given(
    counts=st.lists(st.integers(1, 15), min_size=2, max_size=5),
    batch=st.integers(1, 8),
    world=st.sampled_from([1, 2]),
)
def test_balanced_sampling_draws_every_class_and_every_video_of_a_class_equally(
    counts, batch, world
):
    classes = [label for label, count in enumerate(counts) for _ in range(count)]
    draws = list(chain(*whole_epoch(len(classes), batch * world, world, classes=classes)))
    per_class = Counter(dict.fromkeys(range(len(counts)), 0))
    per_class.update(classes[draw.index] for draw in draws)
    assert max(per_class.values()) - min(per_class.values()) <= 1
    for label in range(len(counts)):
        videos = Counter({i: 0 for i, other in enumerate(classes) if other == label})
        videos.update(draw.index for draw in draws if classes[draw.index] == label)
        assert max(videos.values()) - min(videos.values()) <= 1
    assert len(set(draws)) == len(draws)


@given(num=st.integers(0, 50), world=st.integers(1, 7))
def test_evaluation_shards_hold_every_video_once(num, world):
    shards = [eval_shard(num, rank, world) for rank in range(world)]
    assert sorted(i for shard in shards for i in shard) == list(range(num))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
