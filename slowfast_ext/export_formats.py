"""Files of exported programs: `torch.export` (.pt2) and ONNX (.onnx), each with facts about the model inside.

What takes time to import is imported where it is used: a command line names the formats before.
"""

import importlib.util
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slowfast_ext.errors import CheckpointError, ConfigError
from slowfast_ext.registry import unknown_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TOLERANCE = 1e-4
"""Largest error of a file against the model, as a share of the largest output, unless another is asked for."""

INSTALL = "pip install 'slowfast_ext[export]'"

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_METADATA = "metadata.json"
_PLAIN = ("program", "config")

Metadata = dict[str, Any]
Program = Callable[["Tensor"], "tuple[Tensor, ...]"]


class Format(Protocol):
    """How programs are written and opened."""

    runtime: str

    def require_packages(self) -> None:
        """Raises ConfigError with the command that installs what is missing."""
        ...

    def write(self, program: "torch.export.ExportedProgram", path: Path, facts: Metadata) -> None:
        """The program and the facts as a file."""
        ...

    def open(self, path: Path) -> Program:
        """The program of a file: clips -> a tensor for each head."""
        ...

    def read_metadata(self, path: Path) -> Metadata:
        """The facts in a file."""
        ...


class Pt2:
    """`torch.export.save`."""

    runtime = "torch.export"

    def require_packages(self) -> None:
        """Torch is enough."""

    def write(self, program: "torch.export.ExportedProgram", path: Path, facts: Metadata) -> None:
        """The facts are the extra file metadata.json."""
        import torch

        from slowfast_ext.files import writing

        # By way of memory: torch's own writer of files aborts the whole process where the disk is full.
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={_METADATA: json.dumps(facts)})
        with writing(path):
            path.write_bytes(buffer.getbuffer())

    def open(self, path: Path) -> Program:
        """The program of a file."""
        import torch

        from slowfast_ext.tasks import heads_of

        module = torch.export.load(path).module()
        return lambda clips: heads_of(module(clips))

    def read_metadata(self, path: Path) -> Metadata:
        """The facts in a file."""
        import torch

        extra = {_METADATA: ""}
        torch.export.load(path, extra_files=extra)
        return json.loads(extra[_METADATA])


class Onnx:
    """`torch.onnx.export`, run by onnxruntime on as many threads as torch has."""

    runtime = "onnxruntime"

    def require_packages(self) -> None:
        """Raises ConfigError with the command that installs what is missing."""
        missing = [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(f"ONNX needs {', '.join(missing)}: {INSTALL}")

    def write(self, program: "torch.export.ExportedProgram", path: Path, facts: Metadata) -> None:
        """The facts are metadata_props, each in JSON but for texts."""
        import torch

        from slowfast_ext.files import writing

        outputs = [output["name"] for output in facts["outputs"]]
        found = torch.onnx.export(
            program, (), input_names=["clips"], output_names=outputs, verbose=False
        )
        assert found is not None
        found.model.metadata_props.update(
            {key: x if key in _PLAIN else json.dumps(x) for key, x in facts.items()}
        )
        with writing(path):
            found.save(path)

    def open(self, path: Path) -> Program:
        """The program of a file."""
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda clips: tuple(
            map(torch.from_numpy, session.run(None, {"clips": clips.numpy()}))
        )

    def read_metadata(self, path: Path) -> Metadata:
        """The facts in a file; weights beside it are not read."""
        import onnx

        found = onnx.load(path, load_external_data=False).metadata_props
        return {x.key: x.value if x.key in _PLAIN else json.loads(x.value) for x in found}


FORMATS: Mapping[str, Format] = {"pt2": Pt2(), "onnx": Onnx()}


def format_of(path: str | Path, name: str = "") -> Format:
    """The format called `name`, or that the end of the path names. Raises ConfigError; packages are there."""
    found = FORMATS.get(name or Path(path).suffix[1:])
    if found is None:
        raise ConfigError(
            f"{path}: format '{name or Path(path).suffix}' is unknown; {unknown_name(name, FORMATS)}"
        )
    found.require_packages()
    return found


def read_metadata(path: str | Path) -> Metadata:
    """What an exported file says of itself: program, input, outputs (with class names), normalisation, views, sampling, config.

    Raises ConfigError for another kind of file, CheckpointError for one that cannot be read.
    """
    path, kind = Path(path), format_of(path)
    try:
        return kind.read_metadata(path)
    except Exception as error:  # of either library
        raise CheckpointError(f"{path}: not a readable exported program ({error})") from error
