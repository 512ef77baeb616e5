"""What a machine offers to training: versions, devices, memory, disk, and how fast one step is; each with a verdict."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import slowfast_ext
from slowfast_ext.analysis.timing import median_seconds
from slowfast_ext.data.advice import SHARED_MEMORY, cores
from slowfast_ext.screen import plural

OK, NOTE, BAD = "ok", "note", "bad"

OPTIONAL = {
    "torchcodec": "a third video reader: pip install torchcodec",
    "onnx": "slowfast-ext export --format onnx: pip install 'slowfast_ext[export]'",
    "onnxruntime": "the check of an ONNX file: pip install 'slowfast_ext[export]'",
    "huggingface_hub": "slowfast-ext hub: pip install 'slowfast_ext[hub]'",
    "wandb": "WANDB.ENABLE: pip install 'slowfast_ext[wandb]'",
}
"""Package -> what it is for, and how it comes."""

_GIB = 2**30
_ENOUGH_SHARED = _GIB
_ENOUGH_DISK = 10 * _GIB
_SLOW_DISK = 50e6
_TRIAL = 64 * 2**20


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do where it is not ok."""

    what: str
    verdict: str
    found: str
    advice: str = ""


def versions() -> Iterator[Finding]:
    """The packages that have to fit each other, and those that are optional."""
    yield Finding("slowfast_ext", OK, f"{slowfast_ext.__version__}, {Path(slowfast_ext.__file__).parent}")  # fmt: skip
    yield Finding("python", OK, f"{platform.python_version()} on {platform.platform()}")
    yield _torch_pair()
    known = {name: _version(name) for name in ("numpy", "av", "safetensors")}
    yield Finding("libraries", OK, ", ".join(f"{name} {version}" for name, version in known.items()))  # fmt: skip
    missing = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
    there = ", ".join(name for name in OPTIONAL if name not in missing) or "none"
    yield Finding("optional", OK, f"installed: {there}")
    for name in missing:
        yield Finding("optional", NOTE, f"{name} is not installed", OPTIONAL[name])


def _torch_pair() -> Finding:
    found = f"{torch.__version__}, torchvision {_version('torchvision')}"
    try:
        import torchvision.ops

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError) as error:
        return Finding("torch", BAD, f"{found}: {_first_line(error)}", "install both in one command: INSTALL.md")  # fmt: skip
    return Finding("torch", OK, found)


def devices() -> Iterator[Finding]:
    """The GPUs that torch can use, or why there is none."""
    if not torch.cuda.is_available():
        built = torch.version.cuda
        if Path("/dev/nvidiactl").exists():
            why = f"torch is built for CUDA {built}" if built else "torch is a build for CPUs"
            advice = "update the driver, or install a torch for its CUDA version" if built else "install a CUDA build of torch"  # fmt: skip
            yield Finding("GPU", BAD, f"there is one, but torch cannot use it: {why}", advice)
        else:
            yield Finding("GPU", NOTE, "none", "everything runs on the CPU; published recipes need GPUs")  # fmt: skip
        return
    for number in range(torch.cuda.device_count()):
        yield _device(number)


def _device(number: int) -> Finding:
    facts = torch.cuda.get_device_properties(number)
    major, minor = facts.major, facts.minor
    free, _ = torch.cuda.mem_get_info(number)
    found = (
        f"{facts.name}, {facts.total_memory / _GIB:.0f} GiB ({free / _GIB:.0f} free), compute {major}.{minor}, "
        f"CUDA {torch.version.cuda}"
    )
    try:
        square = torch.ones(64, 64, device=f"cuda:{number}")
        wrong = (square @ square)[0, 0].item() != 64
    except RuntimeError as error:
        return Finding(f"GPU {number}", BAD, f"{found}: {_first_line(error)}", "is it one that this torch is built for?")  # fmt: skip
    if wrong:
        return Finding(f"GPU {number}", BAD, f"{found}: a product of ones is wrong", "have it tested")  # fmt: skip
    if major < 8:
        return Finding(f"GPU {number}", NOTE, found, "no bfloat16 units: set TRAIN.PRECISION fp16")
    return Finding(f"GPU {number}", OK, found)


def room(folder: Path) -> Iterator[Finding]:
    """Cores, memory, shared memory, and the disk of a folder."""
    yield Finding("cores", OK if cores() > 1 else NOTE, f"{cores()}", "" if cores() > 1 else "loading and training share one core")  # fmt: skip
    memory = _memory_limit()
    if memory:
        few = memory < 4 * _GIB
        yield Finding("memory", NOTE if few else OK, f"{memory / _GIB:.1f} GiB", "lower TRAIN.BATCH_SIZE and DATA_LOADER.NUM_WORKERS" if few else "")  # fmt: skip
    yield from shared_memory(SHARED_MEMORY)
    yield disk(folder)


def shared_memory(place: Path) -> Iterator[Finding]:
    """The room in which loader processes hand over batches; nothing where the system has none."""
    if not place.is_dir():
        return
    free = shutil.disk_usage(place).free
    few = free < _ENOUGH_SHARED
    advice = "loader processes need more: docker run --shm-size 16g, or DATA_LOADER.NUM_WORKERS 0"
    yield Finding("shared memory", BAD if few else OK, f"{free / _GIB:.2f} GiB free in {place}", advice if few else "")  # fmt: skip


def disk(folder: Path) -> Finding:
    """Room on it, and the speed at which a new file is written and read again."""
    try:
        free = shutil.disk_usage(folder).free
        written, read = _disk_speed(folder)
    except OSError as error:
        return Finding("disk", BAD, f"{folder}: {error.strerror or error}", "give a folder that can be written: --folder")  # fmt: skip
    found = f"{folder}: {free / _GIB:.0f} GiB free, writes {written / 1e6:.0f} MB/s, reads {read / 1e6:.0f} MB/s"  # fmt: skip
    if free < _ENOUGH_DISK:
        return Finding("disk", NOTE, found, "a checkpoint of ViT-B with its optimizer takes 1 GB")
    if min(written, read) < _SLOW_DISK:
        return Finding("disk", NOTE, found, "slow: keep videos on another disk, or transcode them (slowfast-ext data transcode)")  # fmt: skip
    return Finding("disk", OK, found)


def _disk_speed(folder: Path) -> tuple[float, float]:
    """Bytes a second, written (to the disk) and read (not from memory, where the system allows it)."""
    block = os.urandom(2**20)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor") as file:
        started = time.perf_counter()
        for _ in range(_TRIAL // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        written = time.perf_counter() - started
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        started = time.perf_counter()
        while file.read(2**20):
            pass
        read = time.perf_counter() - started
    return _TRIAL / written, _TRIAL / read


def step(model: str = "uniformer_s", frames: int = 16, size: int = 224) -> Finding:
    """Time of forward and backward of one clip on the device that training would take."""
    from slowfast_ext.hub import create_model

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = create_model(model, num_frames=frames, img_size=size).to(device)
    clip_BCTHW = torch.randn(1, 3, frames, size, size, device=device)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()

    def work() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = net(clip_BCTHW).float().logsumexp(-1).sum()
        loss.backward()

    seconds = median_seconds(work, device, 1 if device.type == "cpu" else 5)
    where = f"cpu, {plural(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else device.type  # fmt: skip
    precision = "bf16" if half else "fp32"
    return Finding("step", OK, f"{model}, {frames} x {size} x {size}, one clip, {precision}: {seconds:.2f} s forward and backward ({where})")  # fmt: skip


def guarded(what: str, look: Callable[[], Finding]) -> Finding:
    """What `look` finds; a failure is a finding too."""
    try:
        return look()
    except Exception as error:
        return Finding(what, BAD, f"{type(error).__name__}: {_first_line(error)}", "this would end training too")  # fmt: skip


def _memory_limit() -> int:
    """Bytes that this process may use: the machine's, or fewer where a container limits it; 0: not known."""
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return min(limits, default=0)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]
