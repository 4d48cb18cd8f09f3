"""How an exported network runs: ONNX Runtime or OpenVINO. Needs no PyTorch.

Every engine takes RGB images at network size, ``(N, H, W, 3)`` uint8, and gives foreground probabilities
``(N, H, W)`` float32. It may be called from several threads at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segstudy import libraries
from segstudy.cards import Card, Package, parse_package
from segstudy.errors import UserError
from segstudy.trial import ensure_tried

METADATA = "segstudy"  # the key in a file's metadata
SUFFIXES = (".onnx", ".xml")

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Forward = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Network:
    """A trained network, ready to run.

    Attributes:
        card: of its run.
        name: of the configuration and seed.
        engine: what runs it, and in which precision.
        forward: ``(N, H, W, 3)`` uint8 to ``(N, H, W)`` float32.
        package: what the file says of itself; None for a run's folder.
    """

    card: Card
    name: str
    engine: str
    forward: Forward
    package: Package | None = None


def open_exported(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """As ``open_untried``, of a file that passed its trial, now or before: it may come from anywhere.

    Raises:
        UserError: as there, or it did not pass.
    """
    engine = _engine_for(file, engine)
    ensure_tried(file, engine, precision)
    return open_untried(file, engine, threads, precision)


def open_untried(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """Load an exported file, whatever it does.

    Args:
        file: ``.onnx``, or the ``.xml`` beside its ``.bin``.
        engine: ``auto`` takes ONNX Runtime for the one and OpenVINO for the other.
        threads: callers at once; each gets one thread of its own.
        precision: of the arithmetic; ``auto`` leaves it to the engine: float32 for ONNX Runtime, bfloat16 for
            OpenVINO where the processor has it.

    Raises:
        UserError: not there, damaged, not made by segstudy, or the engine is not installed.
    """
    engine = _engine_for(file, engine)
    return _onnxruntime(file, precision) if engine == "onnxruntime" else _openvino(file, threads, precision)


def _engine_for(file: Path, engine: EngineName) -> EngineName:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES or not file.is_file():
        raise UserError(f"{file}: no exported model; `segstudy export` makes .onnx and .xml files")
    if engine == "auto":
        engine = "onnxruntime" if suffix == ".onnx" else "openvino"
    if engine == "torch" or (engine == "onnxruntime" and suffix == ".xml"):
        raise UserError(f"{file}: cannot be run by {engine}; leave --engine out")
    return engine


def openvino_is_there() -> bool:
    """Whether OpenVINO can be imported, without doing so."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


def _onnxruntime(file: Path, precision: Precision) -> Network:
    if precision == "bfloat16":
        raise UserError(
            "ONNX Runtime has no bfloat16 on a CPU; use --engine openvino or leave --precision out"
        )
    try:
        onnxruntime = libraries.onnxruntime()
    except ImportError:
        raise _missing("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # of each call; callers run side by side
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(METADATA, "")
    except Exception as error:  # its exceptions have no common class of their own
        raise _damaged(file, error) from None
    package = parse_package(text, file)
    name = session.get_inputs()[0].name

    def forward(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {name: image})[0], np.float32)

    return Network(package.card, package.name, f"ONNX Runtime, {package.precision}", forward, package)


def _openvino(file: Path, threads: int, precision: Precision) -> Network:
    try:
        openvino = libraries.openvino()
    except ImportError:
        raise _missing("openvino") from None
    try:
        core = openvino.Core()
        model = core.read_model(file)
        text = _metadata(model)
        package = parse_package(text, file)
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        if precision != "auto":
            settings["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[precision]
        compiled = core.compile_model(model, "CPU", settings)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except UserError:
        raise
    except Exception as error:  # likewise
        raise _damaged(file, error) from None

    def infer(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = compiled.create_infer_request()
        return np.array(request.infer([image], share_inputs=True)[0], np.float32)

    forward: Forward = infer
    arithmetic = {"bf16": "bfloat16", "f32": "float32", "f16": "float16"}.get(used, used)
    if package.precision == "int8":
        if precision != "auto":
            raise UserError(f"{file}: computes in INT8; leave --precision out")
        forward, arithmetic = _one_at_a_time(core, model, settings), "int8"
    # Once, before threads call: two that make their first tensors at the same time wait for each other for
    # ever (2026.4.1: one holds a lock of the library's and waits for Python's, the other the reverse).
    forward(np.zeros((1, *(package.card.image_size if arithmetic == "int8" else (32, 32)), 3), np.uint8))
    return Network(package.card, package.name, f"OpenVINO, {arithmetic}", forward, package)


def _one_at_a_time(core: Any, model: Any, settings: dict[str, Any]) -> Forward:
    """Run a model in INT8, which OpenVINO computes rightly for fixed shapes only.

    With a free batch or size it is far off for networks that carry sizes along: with 2026.4.1 a fifth of the
    pixels differed for SegNet and DilatedUNet, and one in a hundred with fixed shapes (docs/LOG.md).
    """

    @cache
    def compiled(height: int, width: int) -> Any:
        fixed = model.clone()
        fixed.reshape([1, height, width, 3])
        return core.compile_model(fixed, "CPU", settings)

    def forward(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = compiled(image.shape[1], image.shape[2]).create_infer_request()
        found = [np.array(request.infer([each[None]], share_inputs=True)[0][0]) for each in image]
        return np.stack(found).astype(np.float32, copy=False)

    return forward


def _metadata(model: Any) -> str:
    """The package's text: OpenVINO's own files keep it in their runtime information, ONNX files likewise."""
    for path in ([METADATA], ["framework", METADATA]):
        if model.has_rt_info(path):
            return str(model.get_rt_info(path).astype(str))
    return ""


def _missing(package: str) -> UserError:
    return UserError(f"{package} is not installed; pip install '{package}'")


def _damaged(file: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{file}: cannot be loaded ({reason}); export the model again")
