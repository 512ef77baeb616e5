"""Folders as a test of a model leaves them, without a model."""

import base64
import csv
import gzip
import json
import re
import struct

import numpy as np
import yaml
from safetensors.numpy import save_file

CLASSES = ("open </script> a door", "close a door", "fold", "unfold", "wave")


def write_run(folder, scores, labels, paths=None, decoded=None, names=CLASSES, seed=0, epochs=3):
    """A run of one head: `scores` [M, K], `labels` [M]."""
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels)
    decoded = np.ones(len(labels), bool) if decoded is None else np.asarray(decoded)
    paths = paths or [f"/data/val/{i:05d}.mp4" for i in range(len(labels))]
    best = scores.argmax(1)
    right = (best == labels) & decoded
    rows = [
        [i, paths[i], labels[i], best[i], f"{scores[i, best[i]]:.6f}", bool(decoded[i])]
        for i in range(len(labels))
    ]
    results = folder / "results"
    write_csv(results / "predictions.csv", "index video labels predicted score decoded", rows)
    write_csv(
        results / "per_class.csv",
        "class name videos right accuracy",
        [[k, n, 0, 0, ""] for k, n in enumerate(names)],
    )
    bad = [[paths[i], "moov atom not found"] for i in np.flatnonzero(~decoded)]
    write_csv(results / "unreadable.csv", "video reason", bad)
    tensors = {"scores0": scores, "labels": labels[:, None].astype(np.int64)}
    save_file(tensors, results / "scores.safetensors")
    metrics = {"top1_acc": 100 * float(right.mean()), "top5_acc": 100.0}
    (results / "metrics.json").write_text(json.dumps(metrics))
    settings = {"RNG_SEED": seed, "OUTPUT_DIR": str(folder), "MODEL": {"NUM_CLASSES": len(names)}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "stats.jsonl").write_text("".join(stats_lines(epochs)) + '{"_type": "val_ep')
    return folder


def stats_lines(epochs):
    for epoch in range(1, epochs + 1):
        at = f"{epoch}/{epochs}"
        yield (
            json.dumps(
                {"_type": "train_iter", "epoch": at, "iter": "5/10", "loss": 3 / epoch, "lr": 0.1}
            )
            + "\n"
        )
        yield (
            json.dumps(
                {"_type": "train_epoch", "epoch": at, "loss": 3 / epoch, "top1_acc": 10 * epoch}
            )
            + "\n"
        )
        yield json.dumps({"_type": "val_epoch", "epoch": at, "top1_acc": 9 * epoch}) + "\n"


def write_csv(path, head, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head.split(), *rows])


def unpacked(html):
    """The data of a page, arrays as numpy's, files as bytes."""
    (text,) = re.findall(r'id="data">([^<]+)</script>', html)
    block = gzip.decompress(base64.b64decode(text))
    (size,) = struct.unpack_from("<I", block)
    start = 4 + size

    def value(item):
        if "$array" in item:
            kind, offset, count = item["$array"]
            return np.frombuffer(block, f"<{kind}", count, start + offset)
        if "$bytes" in item:
            offset, count = item["$bytes"]
            return block[start + offset : start + offset + count]
        return item

    return json.loads(block[4:start], object_hook=value)
