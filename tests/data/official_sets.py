"""Writes small MotionShapes clips in the official format of each data set, for tests.

Each writer takes a folder and fills it with two training videos and one validation video, real files, and
gives what a reader must find: the split -> the labels in order. `WRITERS` is keyed by config file.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import av
from PIL import Image

from slowfast_ext.data.motion import MotionSettings, render_clip

NUM_FRAMES = 8
CODECS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}
Labels = dict[str, list[tuple[int, ...]]]
WRITERS: dict[str, Callable[[Path], Labels]] = {}


def clip_frames(index: int):
    """Frames uint8 [8, 32, 32, 3] of a MotionShapes clip."""
    return render_clip(index, "train", index % 12, MotionSettings(size=32, num_frames=NUM_FRAMES))


def video(path: Path, index: int = 0, frames: int = NUM_FRAMES) -> None:
    """A real video file, codec by suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=None if path.suffix != ".MP4" else "mp4") as container:
        stream = container.add_stream(CODECS.get(path.suffix, "libx264"), rate=12)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for frame in clip_frames(index)[:frames]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def frame_folder(folder: Path, index: int = 0, template: str = "{:05d}.jpg") -> None:
    """A folder of 8 images, the first number 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(clip_frames(index), 1):
        Image.fromarray(frame).save(folder / template.format(number))


def table(path: Path, rows) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def columns(text: str) -> list[str]:
    return text.split(",")


def writer(*names: str):
    """File a writer under the configs that it fits."""

    def add(function):
        WRITERS.update(dict.fromkeys(names, function))
        return function

    return add


@writer("kinetics400")
def kinetics(root: Path) -> Labels:
    names = sorted(f"class {index:03d}" for index in range(400))
    header = ("label", "youtube_id", "time_start", "time_end", "split", "is_cc")
    train = [(names[i % 400], f"-id_{i:08d}", 5, 15, "train", 0) for i in (0, 399)]
    table(root / "train.csv", [header, *train])
    table(root / "val.csv", [header, (names[7], "val_id", 0, 10, "validate", 0)])
    (root / "classes.txt").write_text("\n".join(names))
    video(root / "train" / "class_000" / "-id_00000000_000005_000015.mp4", 0)
    video(root / "train" / "class_399" / "-id_00000399_000005_000015.mkv", 1)
    video(root / "val" / "val_id_000000_000010.mp4", 2)
    return {"train": [(0,), (399,)], "val": [(7,)]}


@writer("ssv2")
def ssv2(root: Path) -> Labels:
    names = [f"Moving something {index:03d} across something" for index in range(174)]
    entry = lambda video_id, label: {  # noqa: E731
        "id": video_id,
        "label": "moving a cup across a table",
        "template": names[label].replace("something", "[something]"),
        "placeholders": ["a cup", "a table"],
    }
    dump(root / "something-something-v2-labels.json", {n: str(i) for i, n in enumerate(names)})
    dump(root / "something-something-v2-train.json", [entry("78687", 57), entry("42326", 0)])
    dump(root / "something-something-v2-validation.json", [entry("74225", 173)])
    dump(root / "something-something-v2-test.json", [{"id": "1420"}])
    for index, name in enumerate(("78687", "42326", "74225")):
        video(root / "20bn-something-something-v2" / f"{name}.webm", index)
    return {"train": [(57,), (0,)], "val": [(173,)]}


def dump(path: Path, value) -> None:
    path.write_text(json.dumps(value))


@writer("ssv1")
def ssv1(root: Path) -> Labels:
    names = [f"Doing something {index:03d}, really" for index in range(174)]
    prefix = "something-something-v1"
    (root / f"{prefix}-labels.csv").write_text("\n".join(reversed(names)))
    (root / f"{prefix}-train.csv").write_text(f"100218;{names[134]}\r\n24413;{names[2]}\r\n")
    (root / f"{prefix}-validation.csv").write_text(f"1;{names[0]}\r\n")
    for index, name in enumerate(("100218", "24413", "1")):
        frame_folder(root / name, index)
    return {"train": [(134,), (2,)], "val": [(0,)]}


@writer("diving48")
def diving48(root: Path) -> Labels:
    dump(
        root / "Diving48_vocab.json", [["Back", f"{i:02d}som", "NoTwis", "TUCK"] for i in range(48)]
    )
    entry = lambda name, label: {  # noqa: E731
        "vid_name": name,
        "label": label,
        "start_frame": 0,
        "end_frame": NUM_FRAMES,
    }
    dump(root / "Diving48_V2_train.json", [entry("a_00001", 26), entry("a_00002", 47)])
    dump(root / "Diving48_V2_test.json", [entry("b_00001", 0)])
    for index, name in enumerate(("a_00001", "a_00002", "b_00001")):
        video(root / "rgb" / f"{name}.mp4", index)
    return {"train": [(26,), (47,)], "val": [(0,)]}


def finegym(root: Path, classes: int) -> Labels:
    one, two = "A0xAXXysHUo_E_002184_002237_A_0035_0036", "A0xAXXysHUo_E_002184_002237_A_0040_0041"
    categories = (
        f"Clabel: {i}; set: 1; Glabel: {i + 3}; (VT) round-off, {i}" for i in range(classes)
    )
    (root / f"gym{classes}_categories.txt").write_text("\n".join(categories))
    (root / f"gym{classes}_train.txt").write_text(f"{one} 3\n{two} {classes - 1}\n")
    (root / f"gym{classes}_val.txt").write_text("0_E_A_1 0\n")
    for index, name in enumerate((one, two)):
        video(root / f"{name}.mp4", index)
    frame_folder(root / "0_E_A_1", 2)
    return {"train": [(3,), (classes - 1,)], "val": [(0,)]}


@writer("gym99")
def gym99(root: Path) -> Labels:
    return finegym(root, 99)


@writer("gym288")
def gym288(root: Path) -> Labels:
    return finegym(root, 288)


EPIC_HEADER = columns(
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,"
    "stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
)


def epic_row(narration, start, stop, verb, noun):
    participant, video_id = narration.split("_")[0], narration.rsplit("_", 1)[0]
    times = [f"00:00:{(frame - 1) / 12:05.2f}" for frame in (start, stop + 1)]
    words = ("open door, slowly", "open", verb, "door", noun, "['door']", f"[{noun}]")
    return (narration, participant, video_id, "00:00:00.56", *times, start, stop, *words)


@writer("epic")
def epic(root: Path) -> Labels:
    for word, count in (("verb", 97), ("noun", 300)):
        rows = [(i, f"{word}{i}", "[]", "none") for i in range(count)]
        table(
            root / f"EPIC_100_{word}_classes.csv", [("id", "key", "instances", "category"), *rows]
        )
    rows = [epic_row("P01_01_0", 1, 4, 3, 7), epic_row("P01_01_1", 5, 8, 96, 299)]
    table(root / "EPIC_100_train.csv", [EPIC_HEADER, *rows])
    table(root / "EPIC_100_validation.csv", [EPIC_HEADER, epic_row("P02_01_0", 1, 6, 0, 0)])
    frame_folder(root / "P01" / "rgb_frames" / "P01_01", 0, "frame_{:010d}.jpg")
    video(root / "P02" / "videos" / "P02_01.MP4", 1)
    return {"train": [(3, 7), (96, 299)], "val": [(0, 0)]}


CHARADES_HEADER = columns(
    "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length,egocentric"
)


def charades_row(name, actions):
    script = 'A person says "hello", then leaves.'
    return (
        name,
        "X",
        "Kitchen",
        6,
        7,
        "Yes",
        script,
        "cup;door",
        "She walks;",
        actions,
        30.5,
        "No",
    )


@writer("charades")
def charades(root: Path) -> Labels:
    classes = (f"c{i:03d} Doing thing {i}" for i in range(157))
    (root / "Charades_v1_classes.txt").write_text("\n".join(classes))
    rows = [charades_row("46GP8", "c092 11.90 21.20;c147 0.00 12.60"), charades_row("N11GT", "")]
    table(root / "Charades_v1_train.csv", [CHARADES_HEADER, *rows])
    test = charades_row("YSKX3", "c156 0.00 1.00;c000 0.00 2.00;c000 3.00 4.00")
    table(root / "Charades_v1_test.csv", [CHARADES_HEADER, test])
    for index, name in enumerate(("46GP8", "N11GT", "YSKX3")):
        video(root / "Charades_v1_480" / f"{name}.mp4", index)
    return {"train": [(92, 147), ()], "val": [(0, 156)]}


@writer("imagenet")
def imagenet(root: Path) -> Labels:
    wnids = [f"n{index:08d}" for index in range(1000)]
    for split in ("train", "val"):
        for wnid in wnids:
            (root / split / wnid).mkdir(parents=True)
    frames = clip_frames(0)
    for index, name in enumerate(
        ("train/n00000004/a.JPEG", "train/n00000999/b.JPEG", "val/n00000000/c.JPEG")
    ):
        Image.fromarray(frames[index]).save(root / name, format="JPEG")
    (root / "LOC_synset_mapping.txt").write_text(
        "\n".join(f"{w} tench, Tinca tinca" for w in wnids)
    )
    return {"train": [(4,), (999,)], "val": [(0,)]}


@writer("ucf101")
def ucf101(root: Path) -> Labels:
    names = [f"Class{index:03d}" for index in range(101)]
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("\r\n".join(f"{i} {n}" for i, n in enumerate(names, 1)))
    (lists / "trainlist01.txt").write_text(
        "Class000/v_a_g08_c01.avi 1\r\nClass100/v_b_g08_c01.avi 101\r\n"
    )
    (lists / "testlist01.txt").write_text("Class050/v_c_g01_c01.avi\r\n")
    for index, name in enumerate(("Class000/v_a_g08", "Class100/v_b_g08", "Class050/v_c_g01")):
        video(root / "UCF-101" / f"{name}_c01.avi", index)
    return {"train": [(0,), (100,)], "val": [(50,)]}


@writer("hmdb51")
def hmdb51(root: Path) -> Labels:
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir()
    for index in range(51):
        (lists / f"class_{index:02d}_test_split1.txt").write_text("")
    (lists / "class_00_test_split1.txt").write_text("a_0.avi 1 \nunused.avi 0 \n")
    (lists / "class_50_test_split1.txt").write_text("b_0.avi 1 \nc_0.avi 2 \n")
    for index, name in enumerate(("class_00/a_0.avi", "class_50/b_0.avi", "class_50/c_0.avi")):
        video(root / name, index)
    return {"train": [(0,), (50,)], "val": [(50,)]}
