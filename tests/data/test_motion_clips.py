"""What a clip shows: a function of its index, its motion, and nothing of the class in any one frame."""

import numpy as np
import pytest

from slowfast_ext.data.motion import CLASS_NAMES, LEVELS, MotionSettings, render_clip
from slowfast_ext.data.motion.clip import draw_frames
from slowfast_ext.data.motion.motions import MOTIONS, Phase, run_phases
from slowfast_ext.data.motion.scene import draw_scene
from slowfast_ext.data.motion.sprites import SHAPES, TEXTURES
from slowfast_ext.data.motion.surroundings import draw_surroundings

CLASSES = range(len(CLASS_NAMES))


def lots(level, frames=8, size=32, seed=0):
    rng = np.random.default_rng(seed)
    return (
        draw_scene(rng, "train", LEVELS[level]),
        draw_surroundings(rng, LEVELS[level], size, frames),
    )


@pytest.mark.parametrize("level", LEVELS)
def test_same_settings_same_pixels(level):
    settings = MotionSettings(level, 32, 6, seed=3)
    clip = render_clip(5, "train", 2, settings)
    assert clip.shape == (6, 32, 32, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, render_clip(5, "train", 2, settings))
    others = [
        render_clip(6, "train", 2, settings),
        render_clip(5, "val", 2, settings),
        render_clip(5, "train", 3, settings),
        render_clip(5, "train", 2, MotionSettings(level, 32, 6, seed=4)),
    ]
    assert all(not np.array_equal(clip, other) for other in others)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("t", [0, 3, 7])
def test_any_frame_of_a_class_is_a_frame_of_every_class(level, t):
    """With uniform phases this is the whole proof: shifting the start by what the motion adds up to frame t
    keeps its distribution, and gives the same frame t in another class."""
    scene, around = lots(level)
    frame = draw_frames(scene, around, np.tile(scene.start, (8, 1)), 32)[t]
    still_at_t = np.zeros(len(Phase))
    for label in CLASSES:
        moved = run_phases(still_at_t, label, scene.speed, 8)[t]
        phases = run_phases((scene.start - moved) % 1, label, scene.speed, 8)
        clip = draw_frames(scene, around, phases, 32)
        np.testing.assert_allclose(clip[t], frame, atol=1e-4)
        assert np.abs(clip - clip[t]).max() > 0.1


@pytest.mark.parametrize("label", CLASSES)
def test_start_phases_are_uniform_and_independent(label):
    starts = np.stack(
        [
            run_phases(scene.start, label, scene.speed, 8)[[0, 4, 7]]
            for scene in (lots("easy", size=16, seed=seed)[0] for seed in range(400))
        ]
    )
    ranked = np.sort(starts, axis=0)
    uniform = (np.arange(400) + 0.5)[:, None, None] / 400
    assert np.abs(ranked - uniform).max() < 1.95 / 400**0.5  # Kolmogorov-Smirnov at 0.1 %
    correlation = np.corrcoef(starts.reshape(400, -1)[:, -len(Phase) :].T) - np.eye(len(Phase))
    assert np.abs(correlation).max() < 0.2


@pytest.mark.parametrize("label", [label for label in CLASSES if label % 2 == 0])
def test_partners_are_each_others_reversal(label):
    """So that the frames of a clip without their order cannot tell the two apart."""
    scene, around = lots("easy")
    forwards = run_phases(scene.start, label, scene.speed, 8)
    partner = next(
        other for other in CLASSES if other != label and MOTIONS[other][1] == MOTIONS[label][1]
    )
    backwards = run_phases(forwards[-1], partner, scene.speed, 8)
    np.testing.assert_allclose(
        draw_frames(scene, around, forwards, 32)[::-1],
        draw_frames(scene, around, backwards, 32),
        atol=1e-4,
    )


def centres(name, frames=9, seed=1):
    """Pose of the single object (x, y, radius, angle) and of the pair, over the frames."""
    scene, _ = lots("easy", frames, seed=seed)
    start = np.full(len(Phase), 0.5)
    phases = run_phases(start, CLASS_NAMES.index(name), 0.3, frames)
    return scene.poses(phases, np.arange(frames) / frames)


@pytest.mark.parametrize(
    ("name", "attribute", "direction"),
    [
        ("move left", "x", -1),
        ("move right", "x", 1),
        ("move up", "y", -1),
        ("move down", "y", 1),
        ("come towards", "radius", 1),
        ("go away", "radius", -1),
    ],
)
def test_the_single_object_does_what_the_name_says(name, attribute, direction):
    poses = centres(name)
    assert (np.diff(getattr(poses, attribute)[:, 0]) * direction > 0).all()
    for other in ("x", "y", "radius", "angle"):
        still = getattr(poses, other)[:, 1:] if other == attribute else getattr(poses, other)
        assert np.ptp(still, axis=0).max() == 0


@pytest.mark.parametrize(
    ("name", "direction"), [("turn clockwise", 1), ("turn counter-clockwise", -1)]
)
def test_all_objects_turn(name, direction):
    poses = centres(name)
    assert (np.diff(poses.angle, axis=0) * direction > 0).all()
    assert max(np.ptp(a, axis=0).max() for a in (poses.x, poses.y, poses.radius)) == 0


@pytest.mark.parametrize(
    ("name", "nearer", "turned"),
    [
        ("two approach", -1, 0),
        ("two separate", 1, 0),
        ("two circle clockwise", 0, 1),
        ("two circle counter-clockwise", 0, -1),
    ],
)
def test_the_pair_does_what_the_name_says(name, nearer, turned):
    poses = centres(name)
    apart = (poses.x[:, 2] - poses.x[:, 1]) + 1j * (poses.y[:, 2] - poses.y[:, 1])
    assert set(np.sign(np.round(np.diff(np.abs(apart)), 6))) == {nearer}
    assert set(np.sign(np.round(np.diff(np.unwrap(np.angle(apart))), 6))) == {turned}
    assert np.ptp(poses.x[:, 0]) == np.ptp(poses.y[:, 0]) == 0


def test_the_pair_never_straddles_an_edge():
    for seed in range(50):
        scene, _ = lots("easy", seed=seed)
        phases = run_phases(scene.start, CLASS_NAMES.index("two separate"), 0.9, 8)
        poses = scene.poses(phases, np.arange(8) / 8)
        for centre in (poses.x[:, 1:3], poses.y[:, 1:3]):
            assert centre.min() > 0
            assert centre.max() < 1


def test_an_object_that_leaves_comes_back_on_the_other_side():
    scene, around = lots("easy")
    shifted = scene.start.copy()
    shifted[Phase.X] += 1.0
    frames = [draw_frames(scene, around, p[None], 32) for p in (scene.start, shifted)]
    np.testing.assert_allclose(*frames, atol=1e-4)


def test_splits_share_no_shape_and_no_texture():
    for families in (SHAPES, TEXTURES):
        grid = np.linspace(-1, 1, 41)
        drawn = {
            split: [
                member(grid * np.pi, 0.5)
                if families is SHAPES
                else member(*np.meshgrid(grid, grid), 0.5)
                for member in families[split]
            ]
            for split in ("train", "val")
        }
        for ours in drawn["train"]:
            assert all(np.abs(ours - theirs).max() > 0.02 for theirs in drawn["val"])


def test_camera_moves_the_whole_world():
    scene, around = lots("hard", frames=8, size=32)
    phases = np.tile(scene.start, (8, 1))
    whole_pixels = np.round((around.camera - around.camera[0]) * 32) / 32
    around.camera[:] = whole_pixels
    around.light[:] = 0
    clear = np.zeros_like(scene.sway)
    still = type(scene)(scene.sprites, scene.start, scene.speed, scene.fixed, clear)
    frames = draw_frames(still, around, phases, 32)
    for frame, (x, y) in zip(frames, whole_pixels * 32, strict=True):
        back = np.roll(frame, (int(y), int(x)), axis=(0, 1))
        np.testing.assert_allclose(back, frames[0], atol=2e-3)
