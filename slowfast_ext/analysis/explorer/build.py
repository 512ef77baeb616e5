"""The page of a clip and its recorded layers.

Shapes: T frames, H W pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from slowfast_ext.analysis.explorer.layers import layer_payload
from slowfast_ext.analysis.explorer.plan import plan
from slowfast_ext.analysis.explorer.top_classes import Prediction
from slowfast_ext.analysis.maps import Seen
from slowfast_ext.analysis.maps_scene import Scene
from slowfast_ext.analysis.page import render
from slowfast_ext.analysis.report.films import encoded
from slowfast_ext.errors import ConfigError

TEMPLATE = "explorer/templates/explorer.html.j2"
_LARGEST = 336
_QUALITY = 80


def build_explorer(
    seen: Sequence[Seen],
    scene: Scene,
    title: str,
    predictions: Sequence[Prediction] = (),
    most_mb: float = 30,
) -> str:
    """The page as text; the scene's query is the patch that it opens with, its head the only one if it has one.

    Raises ConfigError where no layer can be shown, with the reason of each.
    """
    chosen = plan(seen, int(most_mb * 1e6), None if scene.head is None else 1)
    layers, left_out = [], list(chosen.left_out)
    for item, stride in chosen.layers:
        if scene.head is not None and not 0 <= scene.head < item.layer.num_heads:
            raise ConfigError(
                f"--head {scene.head} is not there; heads are 0 to {item.layer.num_heads - 1}"
            )
        try:
            layers.append(layer_payload(item, stride, scene.head))
        except ConfigError as error:
            left_out.append(f"{item.name}: {error}")
    if not layers:
        raise ConfigError(
            "no layer can be shown: " + ("; ".join(left_out) or "the model has no attention")
        )
    frame, row, column = scene.query
    data = {
        "frames": _frames(scene.frames_THWC),
        "note": scene.note,
        "query": [frame, row, column],
        "layers": layers,
        "leftOut": left_out,
        "predictions": [
            {"head": p.head, "best": [list(pair) for pair in p.best]} for p in predictions
        ],
    }
    return render(TEMPLATE, title, data)


def _frames(frames_THWC: np.ndarray) -> dict[str, Any]:
    """Each frame as an image, scaled down to a longer side of _LARGEST; `height` and `width` are those of the clip."""
    count, height, width = frames_THWC.shape[:3]
    scale = min(1.0, _LARGEST / max(height, width))
    size = (round(width * scale), round(height * scale))
    pictures = (
        Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in frames_THWC
    )
    return {
        "count": count,
        "height": height,
        "width": width,
        "images": [encoded(picture, _QUALITY) for picture in pictures],
    }
