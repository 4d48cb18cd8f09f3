"""The environment of a run: all that can change its last bits, and all that its times depend on."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from segstudy.core.resources import allowed_cores

# What may change a run's last bits, the most informative first.
BITS = (
    "device",
    "gpu",
    "threads",
    "torch",
    "numpy",
    "scipy",
    "opencv",
    "pillow",
    "kornia",
    "polars",
    "onednn",
    "mkl",
    "cuda",
    "cudnn",
    "tf32",
    "driver",  # it compiles kernels for GPUs that are newer than the installed PyTorch
    "cpu",
    "bfloat16",
    "switches",
    "system",
    "libc",
    "processor",
    "arithmetic",
)
# What changes times only: of segstudy, ``numerics`` in the keys counts, and Python computes no score.
TIMES = ("cores", "python", "segstudy")
LIBRARIES = {name: name for name in ("numpy", "scipy", "pillow", "kornia", "polars")}
LIBRARIES["opencv"] = "opencv-python-headless"
# Variables by which users choose the kernels of PyTorch's libraries; threads and output do not count.
SWITCHES = re.compile(
    r"(ATEN|ONEDNN|DNNL|MKL|OPENBLAS|NVIDIA_TF32|TORCH_ALLOW_TF32|CUBLAS|CUDNN|NPY)_"
    r"(?!.*(NUM_THREADS|VERBOSE)).*|GLIBC_TUNABLES"
)
DRIVER = Path("/proc/driver/nvidia/version")
WITHOUT_AMX = ("SSE", "AVX2", "AVX512", "AVX10")  # beginnings of names of instruction sets that lack it


def environment(device: str, threads: int) -> dict[str, Any]:
    """Return libraries, processor, kernels and settings.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads of a training.
    """
    import torch  # not needed to compare environments

    found: dict[str, Any] = {
        "segstudy": version("segstudy"),
        "torch": str(torch.__version__),  # else a class of PyTorch's own
        **_libraries(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": _libc(),
        "processor": _processor()[0],
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": _bfloat16(),
        "switches": switches(),
        "arithmetic": arithmetic(),
        "cores": allowed_cores(hyperthreads=True),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": threads,
    }
    return found | (_gpu() if device == "cuda" else {})


def _gpu() -> dict[str, Any]:
    """Return libraries, driver and settings of the current GPU, and what kernels are chosen by."""
    import torch  # as above

    properties = torch.cuda.get_device_properties()
    tf32 = {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "products": torch.backends.cuda.matmul.allow_tf32,
    }
    return {
        # A share of a GPU has its name, but fewer multiprocessors.
        "gpu": f"sm_{properties.major}{properties.minor}, {properties.multi_processor_count} multiprocessors",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "tf32": ", ".join(name for name, is_on in tf32.items() if is_on) or "none",
        "driver": _driver(),
    }


def _driver() -> str | None:
    """Return the version of the NVIDIA driver, where the system says it."""
    with suppress(OSError, ValueError):
        found = re.search(r"Module.*?(\d+(?:\.\d+)+)", DRIVER.read_text(encoding="utf-8"))
        return found[1] if found else None
    return None


def _libc() -> str | None:
    """Return the library of exp, log and the like, where the system says it: ``glibc 2.36``."""
    with suppress(AttributeError, OSError, ValueError):  # not glibc, or not Unix
        return os.confstr("CS_GNU_LIBC_VERSION")
    return f"macOS {platform.mac_ver()[0]}" if platform.mac_ver()[0] else None


@cache
def _libraries() -> dict[str, str]:
    import torch  # as above

    found = {}
    for name, package in LIBRARIES.items():
        with suppress(PackageNotFoundError):
            found[name] = version(package)
    built = torch.__config__.show()
    for name, pattern in {
        "onednn": r"MKL-DNN v([\d.]+)",
        "mkl": r"Math Kernel Library Version (\S+)",
    }.items():
        if match := re.search(pattern, built):
            found[name] = match[1]
    return found


@cache
def _processor() -> tuple[str, frozenset[str]]:
    """Return the processor's name and instruction sets, as far as the system says."""
    with suppress(OSError, ValueError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
        flags = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
        if name:
            return name[1].strip(), frozenset(flags[1].split() if flags else ())
    return platform.processor() or platform.machine(), frozenset()


def _bfloat16() -> str:
    """Return oneDNN's kernels for bfloat16 on the CPU: ``AMX``, ``AVX-512``, ``emulated`` or ``none``."""
    import torch  # as above

    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return "none"
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return "none"
    most = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()
    flags = _processor()[1]
    if "amx_bf16" in flags and ("AMX" in most or not most.startswith(WITHOUT_AMX)):
        return "AMX"
    if "avx512_bf16" in flags and most != "AVX512_CORE" and not most.startswith("AVX512_CORE_VNNI"):
        return "AVX-512"
    return "emulated"


def switches() -> str:
    """Return the environment variables that choose kernels, if set: ``A=1 B=2``; else ``none``."""
    found = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if SWITCHES.fullmatch(name) and name != "CUBLAS_WORKSPACE_CONFIG"  # which every training sets
    ]
    return " ".join(found) or "none"


@cache
def arithmetic() -> str:
    """Return a hash of sample computations of this process: it is equal for kernels that round alike.

    Convolutions, a normalisation, a sigmoid, products of matrices and their gradients, in float32 and
    bfloat16, by one thread. Any cause of other kernels shows here, also an
    unknown one: a variable, the processor, a library. Takes about 50 ms, once in a process.
    """
    import torch  # as above

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.enable_grad(), torch.random.fork_rng([]):
            torch.manual_seed(0)
            results = [
                tensor
                for dtype in (torch.float32, torch.bfloat16)
                for channels, size_px in ((16, 24), (32, 16))
                for tensor in _results(dtype, channels, size_px)
            ]
    finally:
        torch.set_num_threads(threads)
    content = b"".join(tensor.detach().float().contiguous().numpy().tobytes() for tensor in results)
    return hashlib.sha256(content).hexdigest()[:12]


def _results(dtype: Any, channels: int, size_px: int) -> list[Any]:
    import torch  # as above

    image = torch.rand(2, channels, size_px, size_px).to(memory_format=torch.channels_last).to(dtype)
    weight = (torch.rand(channels, channels, 3, 3) - 0.5).to(dtype).requires_grad_()
    image.requires_grad_()
    convolved = torch.nn.functional.conv2d(image, weight, padding=1)
    normal = torch.nn.functional.batch_norm(convolved.float(), None, None, training=True)
    prob = torch.sigmoid(normal)
    prob.square().mean().backward()  # type: ignore[no-untyped-call]
    rows = image.detach().reshape(2 * channels, -1)
    return [convolved, prob, image.grad, weight.grad, rows @ rows.T]


def differing(
    environments: Iterable[Mapping[str, Any]], fields: Sequence[str] = BITS
) -> dict[str, list[str]]:
    """Return the fields that differ, each with its values in order.

    A record without a field, as older ones are, does not differ in it. ``arithmetic`` is only named where no
    other field explains the difference.
    """
    distinct = [
        json.loads(text) for text in {json.dumps(dict(each), sort_keys=True) for each in environments}
    ]
    found: dict[str, list[str]] = {}
    for name in fields:
        values = sorted({str(each[name]) for each in distinct if each.get(name) is not None})
        if len(values) > 1 and (name != "arithmetic" or not found):
            found[name] = values
    return found


def differing_text(environments: Iterable[Mapping[str, Any]]) -> str:
    """Return ``differing`` as one line: ``cpu (AVX2, AVX512), threads (1, 2)``; empty if nothing differs."""
    found = differing(environments)
    return ", ".join(f"{name} ({', '.join(values)})" for name, values in found.items())


def written_now(device: str = "cpu") -> dict[str, Any]:
    """Return when and where a record is written."""
    import torch  # as above

    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"when": now, "environment": environment(device, torch.get_num_threads())}
