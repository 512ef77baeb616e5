"""Training, evaluating and using video transformers for action recognition.

import slowfast_ext
model = slowfast_ext.create_model("motionformer_b", num_classes=174, weights="vit_base_patch16_224.pth")
dataset = slowfast_ext.create_dataset("ssv2", "/data/ssv2", split="val")
print(slowfast_ext.evaluate(model, dataset))
print(slowfast_ext.Recognizer("checkpoint.pyth")("video.mp4").top(5))
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from slowfast_ext.config import load_config
    from slowfast_ext.data.create import create_dataset
    from slowfast_ext.export import export_model
    from slowfast_ext.hub import create_model, evaluate, list_models, load_model
    from slowfast_ext.predict.recognizer import Recognizer

_HOMES = {
    "Recognizer": "predict.recognizer",
    "create_dataset": "data.create",
    "create_model": "hub",
    "evaluate": "hub",
    "export_model": "export",
    "list_models": "hub",
    "load_config": "config",
    "load_model": "hub",
}

__all__ = [
    "Recognizer",
    "create_dataset",
    "create_model",
    "evaluate",
    "export_model",
    "list_models",
    "load_config",
    "load_model",
]


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first used: `import slowfast_ext` itself loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
