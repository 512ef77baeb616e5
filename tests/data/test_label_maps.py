"""Label maps: cut and moved as their images are, against slow references; read, damaged and missing files."""

import math

import numpy as np
import pytest
import torch

from slowfast_ext.data.label_maps import LabelMaps, moved, write_label_map
from slowfast_ext.data.records import VideoRecord
from slowfast_ext.data.seeds import sample_rng
from slowfast_ext.data.transforms.box import Box
from slowfast_ext.data.transforms.geometry import Geometry, drawn_geometry
from slowfast_ext.data.transforms.operations import OPERATIONS, Step, apply_steps
from slowfast_ext.data.transforms.pipeline import AugOptions, train_transform
from slowfast_ext.data.transforms.resize_crop import CropOptions
from slowfast_ext.errors import DataError
from slowfast_ext.tasks.label_maps import CroppedMaps, crop_labels, roi_weights

CLASSES = 7


def random_maps(images=3, best=2, height=9, width=9, seed=0):
    """Label maps of a teacher that knows seven classes, whole images."""
    generator = torch.Generator().manual_seed(seed)
    logits_BKHW = torch.randn(images, CLASSES, height, width, generator=generator) * 3
    scores, classes = logits_BKHW.topk(best, dim=1)
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(images, 4)
    return CroppedMaps(scores, classes, box, torch.zeros(images, dtype=torch.bool))


def bilinear(plane_HW, y, x):
    """RoI-align's reading of one point: nothing from more than a cell outside, the edge up to there."""
    height, width = plane_HW.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    v, u = y - top, x - left
    corners = plane_HW[top : top + 2, left : left + 2].tolist()
    return (corners[0][0] * (1 - u) + corners[0][1] * u) * (1 - v) + (
        corners[1][0] * (1 - u) + corners[1][1] * u
    ) * v


def slow_labels(maps, image, grid):
    """Each part's mean over its samples, point by point; then softmax, then the mirror."""
    scores, classes = maps.scores[image], maps.classes[image]
    _, height, width = scores.shape
    planes = torch.zeros(CLASSES, height, width)
    for k, y, x in np.ndindex(*scores.shape):
        planes[classes[k, y, x], y, x] = scores[k, y, x]
    top, left, bottom, right = maps.box[image].double().tolist()
    y0, y1 = top * height - 0.5, bottom * height - 0.5
    x0, x1 = left * width - 0.5, right * width - 0.5
    part_h, part_w = max(y1 - y0, 1) / grid[0], max(x1 - x0, 1) / grid[1]
    rows, columns = math.ceil(part_h), math.ceil(part_w)
    out = torch.zeros(*grid, CLASSES)
    for i, j, c in np.ndindex(*out.shape):
        points = [
            bilinear(
                planes[c],
                y0 + part_h * (i + (m + 0.5) / rows),
                x0 + part_w * (j + (n + 0.5) / columns),
            )
            for m in range(rows)
            for n in range(columns)
        ]
        out[i, j, c] = sum(points) / len(points)
    out = out.softmax(-1)
    return out.flip(1) if maps.mirrored[image] else out


BOXES = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.11, 0.42, 0.63, 0.97], [0.5, 0.03, 0.55, 0.4]])


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (7, 7)])
@pytest.mark.parametrize("size", [(9, 9), (6, 11)])
def test_crop_and_flip_of_maps_against_point_by_point(size, grid):
    maps = random_maps(3, 2, *size)._replace(box=BOXES, mirrored=torch.tensor([False, True, True]))
    of_image_BK, of_tokens_BhwK = crop_labels(maps, CLASSES, grid)
    for image in range(3):
        slow = slow_labels(maps, image, grid)
        torch.testing.assert_close(of_tokens_BhwK[image], slow, atol=2e-6, rtol=1e-5)
        whole = slow_labels(maps, image, (1, 1))[0, 0]
        torch.testing.assert_close(of_image_BK[image], whole, atol=2e-6, rtol=1e-5)


def test_a_part_at_the_end_of_a_map():
    """A sample half a cell beyond the last centre reads the last cell; one further than a cell reads nothing."""
    end = torch.ones(1)
    assert roi_weights(end, end, 1, 4).tolist() == [[[0, 0, 0, 1]]]
    assert roi_weights(end, end, 2, 4).tolist() == [[[0, 0, 0, 1], [0, 0, 0, 0]]]
    assert roi_weights(0 * end, end, 1, 1).tolist() == [[[1]]]


def test_crop_of_maps_against_torchvisions_roi_align():
    from torchvision.ops import roi_align

    maps = random_maps()._replace(box=BOXES)
    dense = torch.zeros(3, CLASSES, 9, 9).scatter_(1, maps.classes, maps.scores)
    top, left, bottom, right = (BOXES * 9 - 0.5).unbind(1)
    boxes = torch.stack([torch.arange(3.0), left, top, right, bottom], 1)
    theirs = roi_align(dense, boxes, (7, 7)).permute(0, 2, 3, 1).softmax(-1)
    torch.testing.assert_close(crop_labels(maps, CLASSES, (7, 7))[1], theirs, atol=2e-6, rtol=1e-5)


def test_a_map_is_cropped_where_its_image_is():
    """An image with a red quarter, whose map names it: tokens and pixels agree under every crop and flip."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, 48:, 0] = 255
    frame_TCHW = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    red_HW = torch.zeros(16, 16)
    red_HW[:8, 8:] = 1
    scores = torch.stack([20 * red_HW, 20 * (1 - red_HW)])
    order = scores.sort(dim=0, descending=True)
    crop = CropOptions(
        train_crop_size=64, train_jitter_scales_relative=(0.2, 0.8), interpolation="bilinear"
    )
    transform = train_transform(crop, AugOptions(aa_type=""))
    flips, shifted = set(), 0
    for seed in range(40):
        clip = transform(frame_TCHW, sample_rng(seed, 0, 0))
        geometry = drawn_geometry(transform, (64, 96), sample_rng(seed, 0, 0))
        top, left, h, w = geometry.box
        box = torch.tensor([[top / 64, left / 96, (top + h) / 64, (left + w) / 96]])
        mirrored = torch.tensor([geometry.mirrored])
        maps = CroppedMaps(order.values[None], order.indices[None], box, mirrored)
        red_hw = crop_labels(maps, 2, (4, 4))[1][0, ..., 0]
        share_hw = (clip[0, 0].float() / 255).view(4, 16, 4, 16).mean((1, 3))
        assert (red_hw[share_hw > 0.9] > 0.5).all(), seed
        assert (red_hw[share_hw < 0.1] < 0.5).all(), seed
        flips.add(geometry.mirrored)
        shifted += bool((share_hw > 0.9).any() and (share_hw < 0.1).any())
    assert flips == {False, True}
    assert shifted > 10, "the cases would not show a transposed or unflipped map"


@pytest.mark.parametrize("name", ["Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel"])
def test_a_map_moves_as_its_image_does(name):
    """Against the image operation itself on an image whose pixels are the map's cells."""
    step = Step(name, 0.8, -1.0)
    cells_HW = torch.arange(12 * 10).view(12, 10)
    image = cells_HW.repeat_interleave(11, 0).repeat_interleave(11, 1).to(torch.uint8)
    clip, size = image.expand(1, 3, 132, 110), (132, 110)
    after_HW = apply_steps(clip, [step], "bilinear")[0, 0, 5::11, 5::11]
    scores, classes = moved(
        torch.ones(1, 12, 10),
        cells_HW[None].to(torch.int16),
        OPERATIONS[name].matrix(step, size),
        size,
    )
    outside = scores[0] == 0
    assert outside.any()
    assert (after_HW[outside] == 128).all(), "PIL's fill"
    # A cell's centre may lie near a border of cells, where the image mixes two of them.
    same = after_HW[~outside].int() == classes[0][~outside].int()
    assert same.float().mean() > 0.8


@pytest.mark.parametrize("down", [-1, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 1])
def test_a_map_moved_by_whole_cells(down, right):
    """Each cell is its neighbour; beyond the border there is nothing."""
    scores = torch.rand(2, 6, 4).half() + 1
    classes = torch.arange(48).view(2, 6, 4)
    found = moved(scores, classes, (1, 0, 10 * right, 0, 1, 5 * down), (30, 40))
    to, source = (
        np.s_[:, max(-down, 0) : 6 - max(down, 0)],
        np.s_[:, max(down, 0) : 6 + min(down, 0)],
    )
    columns, of = slice(max(-right, 0), 4 - max(right, 0)), slice(max(right, 0), 4 + min(right, 0))
    expected = torch.zeros_like(scores)
    expected[to][..., columns] = scores[source][..., of]
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1][to][..., columns], classes[source][..., of])


def test_geometry_is_what_the_transform_drew():
    """A crop of an operation that moves: seen at one pixel of each corner, all without colour operations."""
    crop = CropOptions(train_crop_size=32, train_jitter_scales_relative=(0.3, 1.0))
    transform = train_transform(crop, AugOptions(aa_type="rand-m9-n2-inc1", re_prob=1.0))
    seen = set()
    for seed in range(60):
        augmented, flip = transform.transforms[:2]
        rng = sample_rng(seed, 0, 0)
        steps, box = augmented.draw(48, 40, rng)
        geometry = drawn_geometry(transform, (48, 40), sample_rng(seed, 0, 0))
        moves = [
            OPERATIONS[s.name].matrix(s, (48, 40))
            for s in steps
            if hasattr(OPERATIONS[s.name], "map")
        ]
        assert geometry == Geometry((48, 40), tuple(moves), box, flip.draw(rng))
        seen.add(len(moves))
    assert seen == {0, 1, 2}


RECORD = VideoRecord("/sets/imagenet/train/n01440764/n01440764_10026.JPEG", (3,), "list:1")
WHOLE = Geometry((60, 40), (), Box(6, 10, 30, 20), True)


@pytest.fixture
def maps(tmp_path):
    """A folder with the map of RECORD."""
    file = LabelMaps(tmp_path, CLASSES).file(RECORD)
    write_label_map(file, torch.randn(CLASSES, 6, 4, generator=torch.Generator().manual_seed(0)), 3)
    return LabelMaps(tmp_path, CLASSES)


def test_the_published_layout_is_written_and_read(maps):
    file = maps.folder / "n01440764" / "n01440764_10026.pt"
    assert maps.file(RECORD) == file
    found = torch.load(file, weights_only=True)
    assert (found.dtype, found.shape) == (torch.float16, (2, 3, 6, 4))
    scores, classes = maps.read(RECORD)
    assert torch.equal(scores, found[0])
    assert torch.equal(classes.half(), found[1])
    logits_KHW = torch.randn(CLASSES, 6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(classes[0].long(), logits_KHW.argmax(0))
    assert (scores[:-1] >= scores[1:]).all()


def test_a_cropped_map_says_where_the_crop_is(maps):
    own = maps.cropped(RECORD, WHOLE)
    assert own.box.tolist() == pytest.approx([6 / 60, 10 / 40, 36 / 60, 30 / 40])
    assert own.mirrored.item()
    assert torch.equal(own.scores, maps.read(RECORD)[0])
    shifted = maps.cropped(RECORD, WHOLE._replace(moves=((1, 0, 0, 0, 1, 10.0),)))  # a cell down
    assert torch.equal(shifted.scores[:, :-1], own.scores[:, 1:])
    assert (shifted.scores[:, -1] == 0).all()


def damage(found, name):
    changed = found.clone()
    if name == "number":
        changed[0, 1, 2, 3] = float("nan")
    elif name == "class":
        changed[1, 0, 0, 0] = CLASSES
    elif name == "negative":
        changed[1, 0, 0, 0] = -1
    elif name == "half":
        changed[1, 0, 0, 0] = 1.5
    elif name == "twice":
        changed[1, 0] = changed[1, 1]
    other = {
        "layout": changed[0],
        "empty": changed[:, :, :0],
        "three": torch.cat([changed, changed[:1]]),
        "whole": changed.long(),
        "dict": {"map": changed},
    }
    return other.get(name, changed)


COMPLAINTS = {
    "number": "values that are no numbers", "class": r"names class 7, there are 7 \(MODEL.NUM_CLASSES\)",
    "negative": "names class -1, there are 7", "empty": "not floats of", "three": r"of \[3, 3, 6, 4\], not floats of",
    "half": "no numbers of classes", "twice": "twice in a cell", "layout": "not floats of", "whole": "not floats of",
    "dict": "holds a dict, not a tensor",
}  # fmt: skip


@pytest.mark.parametrize("name", COMPLAINTS)
def test_a_wrong_map_is_named_with_what_is_wrong(maps, name):
    file = maps.file(RECORD)
    torch.save(damage(torch.load(file, weights_only=True), name), file)
    with pytest.raises(DataError, match=COMPLAINTS[name]) as raised:
        maps.read(RECORD)
    assert str(file) in str(raised.value)
    assert RECORD.path in str(raised.value)


@pytest.mark.parametrize("cut", [0, 1, 100, -40])
def test_a_damaged_file_costs_its_image_alone(maps, cut):
    file = maps.file(RECORD)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"label map .*10026\.pt: "):
        maps.read(RECORD)


def test_every_flipped_byte_is_noticed_or_without_effect(maps):
    file = maps.file(RECORD)
    sound, content = file.read_bytes(), maps.read(RECORD)
    refused = 0
    for at in range(0, len(sound), 7):
        file.write_bytes(sound[:at] + bytes([sound[at] ^ 0x5A]) + sound[at + 1 :])
        try:
            found = maps.read(RECORD)
        except DataError:
            refused += 1
        else:
            assert all(map(torch.equal, found, content)), at
    assert refused > 20


def test_images_whose_map_is_still_to_be_made(maps):
    others = [VideoRecord(f"/sets/n0/{name}.JPEG", (0,), "list:2") for name in ("a", "b")]
    assert maps.without_map([RECORD, *others, others[0]]) == others
    twin = VideoRecord("/more/n0/a.x.png", (0,), "list:3")
    with pytest.raises(DataError, match=r"n0/a\.x\.png .*n0/a\.pt would be that of /sets/n0/a\."):
        maps.without_map([*others, twin])


def test_a_missing_map_is_named(maps):
    other = VideoRecord("/sets/n0/a.b.JPEG", (0,), "list:2")
    with pytest.raises(DataError, match=r"has no label map .*n0/a\.pt \(TOKEN_LABELS.PATH\)"):
        maps.read(other)
