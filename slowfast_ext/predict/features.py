"""What a model sees of a video, before it names it.

Shapes: B clips, V views, P videos or windows of one, C channels, N tokens, T frames, H W pixels.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby

import torch
from torch import Tensor, nn

from slowfast_ext.data.transforms.device import PixelOptions
from slowfast_ext.engine.evaluate import over_views
from slowfast_ext.engine.precision import autocast
from slowfast_ext.errors import ConfigError
from slowfast_ext.models import VideoModel
from slowfast_ext.predict.clips import ClipBatch, UnitClips
from slowfast_ext.predict.windows import Window
from slowfast_ext.registry import unknown_name

Call = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Features:
    """Features of a video.

    Attributes:
        video: its path, or a word for what was given instead of one.
        features: float32 [C], pooled and averaged over the views; [P, C] for windows; of a block what it gives for
            each view, [V, N, C] tokens (a class token first) or [V, T, H, W, C], with [P, V, ...] for windows.
        frames: first frame and the one behind the last, int64 [P, 2]; of a whole video P is 1.
        seconds: the same as times from the first frame on, float64 [P, 2].
        fps: frame rate of the video.
        error: why there are none; empty where there are.
    """

    video: str
    features: Tensor = torch.empty(0)
    frames: Tensor = torch.empty(0, 2, dtype=torch.int64)
    seconds: Tensor = torch.empty(0, 2, dtype=torch.float64)
    fps: float = 0.0
    error: str = ""

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds."""
        return {
            "features": self.features,
            "frames": self.frames,
            "seconds": self.seconds,
            "fps": torch.tensor(self.fps, dtype=torch.float64),
        }


def view_features(
    model: VideoModel, block: str, precision: str, device: torch.device
) -> tuple[Call, bool]:
    """What gives the features of clips, and whether they are pooled (no `block` is named).

    A block is a module of the backbone (`blocks.11`). Raises ConfigError for one that is not there.
    """
    backbone, module = model.backbone, module_of(model, block)

    def call(clip_BCTHW: Tensor) -> tuple[Tensor, ...]:
        seen: list[Tensor] = []
        hook = None
        if module is not None:
            hook = module.register_forward_hook(
                lambda _module, _inputs, output: seen.append(_first_tensor(output))
            )
        try:
            with autocast(device, precision):
                pooled_BC = backbone(clip_BCTHW)
        finally:
            if hook is not None:
                hook.remove()
        if block and (len(seen) != 1 or len(seen[0]) != len(clip_BCTHW)):
            raise ConfigError(
                f"block '{block}' does not give one output a clip; choose a whole block"
            )
        return ((seen[0] if block else pooled_BC).float().cpu(),)

    return call, not block


def module_of(model: VideoModel, block: str) -> nn.Module | None:
    """A module of the backbone by its name; none for "". Raises ConfigError for a name that is not there."""
    modules = dict(model.backbone.named_modules())
    if block and block not in modules:
        allowed = [name for name, own in modules.items() if _is_block(name)]
        raise ConfigError(f"the model has no block '{block}': {unknown_name(block, allowed)}")
    return modules[block] if block else None


def _is_block(name: str) -> bool:
    """Whether a name ends in the number of a block, the first there is: blocks.11, stages.2.7."""
    parts = name.split(".")
    return parts[-1].isdecimal() and all(part.isdecimal() for part in parts[1:])


def features_of(
    batches: Iterable[ClipBatch],
    called: tuple[Call, bool],
    pixels: PixelOptions,
    view_batch: int,
    device: torch.device,
) -> Iterator[Features]:
    """Features of each video of the batches, in order; the windows of a video stand next to each other."""
    call, pooled = called

    def rows(batch: ClipBatch) -> Iterator[tuple[UnitClips, Tensor | None]]:
        features_PV = None
        if batch.clip_PVTCHW is not None:
            with torch.inference_mode():
                (features_PV,) = over_views(call, batch.clip_PVTCHW, pixels, view_batch, device)
        at = 0
        for item in batch.items:
            if item.unit.error or features_PV is None:
                yield item, None
                continue
            own_PV = features_PV[at : at + item.unit.rows].clone()
            at += item.unit.rows
            yield item, own_PV.mean(1) if pooled else own_PV

    all_rows = chain.from_iterable(map(rows, batches))
    for _, group in groupby(all_rows, lambda pair: pair[0].unit.video):
        yield _joined(list(group))


def _joined(parts: list[tuple[UnitClips, Tensor | None]]) -> Features:
    first = parts[0][0]
    name = first.unit.record.name
    error = next((item.unit.error for item, _ in parts if item.unit.error), "")
    if error or first.info is None:
        return Features(name, error=error)
    length, fps = first.info
    whole = Window(range(length), 0.0, length / fps)
    windows = [window for item, _ in parts for window in item.unit.windows] or [whole]
    features = torch.cat([tensor for _, tensor in parts if tensor is not None])
    return Features(
        name,
        features if first.unit.windows else features[0],
        torch.tensor([(window.frames.start, window.frames.stop) for window in windows]),
        torch.tensor([(window.start, window.end) for window in windows], dtype=torch.float64),
        fps,
    )


def _first_tensor(output: object) -> Tensor:
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise ConfigError("this module gives no tensor; choose a block")
    return output
