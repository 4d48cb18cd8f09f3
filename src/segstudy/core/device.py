"""The device that computes: which there are, in which precision, and what its errors mean."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from segstudy.core.errors import UserError


def choose_device(device: str = "auto") -> str:
    """The device to compute on: ``auto`` is an NVIDIA GPU where there is one, else the CPU.

    Raises:
        UserError: one that this machine does not have.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, False):
        have = " or ".join(name for name, there in available.items() if there)
        raise UserError(f"device {device!r} is not available on this machine; use {have} or omit --device")
    return device


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The precision of forward passes; losses are computed in float32 outside of it."""
    lower = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    return torch.autocast(device.type, lower, enabled=lower is not None)


def best_precision(device: str) -> str:
    """bfloat16 where the hardware has it: emulated, it is slower than float32. Older GPUs have float16."""
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
    """Of the device or the host: several of PyTorch's allocators raise a plain ``RuntimeError``."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Deterministic kernels and a fixed number of threads inside; what was set before afterwards.

    1 and 2 threads give different weights after ten steps, so the number is part of what a run records.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses to be deterministic
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]


def gpu_for(place: int, gpus: Sequence[str]) -> str:
    """The GPU of the worker at this place of the pool: in turn, so that all have equally many workers."""
    return gpus[place % len(gpus)]


PEAK_RESET = Path("/proc/self/clear_refs")  # writing 5 resets the peak of the resident set (proc(5))


def reset_peak_memory(device: str) -> None:
    """Forget earlier peaks: a worker trains one run after the other."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif PEAK_RESET.exists():
        with suppress(OSError):  # a locked-down container: the peak is then the process's
            PEAK_RESET.write_text("5", encoding="ascii")


def peak_memory(device: str) -> int | None:
    """Peak bytes since the last reset: of tensors on a GPU, resident in the process on a CPU under Linux."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if device != "cpu" or not PEAK_RESET.exists():
        return None
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
