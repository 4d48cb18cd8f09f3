"""The computing device: its choice, its precision, and the meaning of its errors."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from segstudy.core.errors import UserError
from segstudy.core.torch_compiler import set_deterministic


def choose_device(device: str = "auto") -> str:
    """Return the device to compute on: ``auto`` is an NVIDIA GPU where there is one, else the CPU.

    Raises:
        UserError: this machine does not have that device.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, False):
        have = " or ".join(name for name, there in available.items() if there)
        raise UserError(f"device {device!r} is not available on this machine; use {have} or omit --device")
    return device


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return a context with the precision of forward passes; losses are computed outside, in float32."""
    lower = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    return torch.autocast(device.type, lower, enabled=lower is not None)


def best_precision(device: str) -> str:
    """Return bfloat16 if the hardware has it (emulated, it is slower than float32), float16 on older GPUs."""
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device == "cpu":
        return "bfloat16" if _cpu_has_bfloat16() else "float32"
    return "float32"


def _cpu_has_bfloat16() -> bool:
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # not in 2.9
    return bool(capabilities().get("avx512_bf16"))


# As PyTorch puts it on a CPU under Linux and Windows, on CUDA and on MPS.
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device or the host lacks memory: some of PyTorch's allocators raise a ``RuntimeError``."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Use deterministic kernels and a fixed number of threads while inside, then restore the settings.

    1 and 2 threads give different weights after ten steps, so the number is part of what a run records.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses to be deterministic
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    set_deterministic(2)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        set_deterministic(before[1])


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


def gpu_for(place: int, gpus: Sequence[str]) -> str:
    """Return the GPU of the worker with this index: in turn, so that all GPUs have equally many workers."""
    return gpus[place % len(gpus)]


PEAK_RESET = Path("/proc/self/clear_refs")  # writing 5 resets the peak of the resident set (proc(5))


def reset_peak_memory(device: str) -> None:
    """Forget earlier peaks: a worker trains one run after the other."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif PEAK_RESET.exists():
        with suppress(OSError):  # a restricted container: the peak is that since the process began
            PEAK_RESET.write_text("5", encoding="ascii")


def peak_memory(device: str) -> int | None:
    """Return the peak bytes since the last reset: tensors on a GPU, resident memory on a CPU (Linux)."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if device != "cpu" or not PEAK_RESET.exists():
        return None
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
