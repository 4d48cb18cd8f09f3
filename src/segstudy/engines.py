"""How an exported network runs: ONNX Runtime or OpenVINO. Needs no PyTorch.

Every engine takes RGB images at network size, ``(N, H, W, 3)`` uint8, and gives foreground probabilities
``(N, H, W)`` float32. It may be called from several threads at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segstudy import libraries
from segstudy.cards import Card, Package, parse_package
from segstudy.checksums import altered, has_right_checksum, say_unchecked
from segstudy.errors import UserError
from segstudy.trial import ensure_tried, refuse_too_large

METADATA = "segstudy"  # the key in a file's metadata
SUFFIXES = (".onnx", ".xml")
ROUNDING = 1e-5  # by which a probability may leave 0 to 1

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

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As ``forward``, if what comes out is what it has to be: nobody would see it in a mask.

        Raises:
            OutputError: of another shape or type, no numbers, or outside of 0 to 1.
        """
        found = np.asarray(self.forward(images))
        if problem := wrong_with(found, images.shape[:3]):
            raise OutputError(f"{self.name} by {self.engine}: gives {problem}")
        return found.clip(0, 1) if found.size and (found.min() < 0 or found.max() > 1) else found

    def refuse_if_wrong(self) -> None:
        """Try the network on noise, so that one that gives nonsense is refused before it is used.

        Raises:
            UserError: it does.
        """
        height, width = self.card.image_size
        noise = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
        try:
            self.probabilities(noise)
        except OutputError as error:
            raise UserError(f"{error}; train or export it anew") from None
        except Exception as error:  # of whatever class each engine raises
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise UserError(
                f"{self.name} by {self.engine}: cannot be run ({reason}); train or export it anew"
            ) from None


class OutputError(ArithmeticError):
    """What a network put out for an image are no probabilities."""


def wrong_with(found: NDArray[Any], shape: tuple[int, ...]) -> str:
    """What is wrong with an array that is to hold probabilities of this shape; nothing if it is as it should.

    Rounding may leave 0 to 1 by ``ROUNDING``.
    """
    if found.shape != shape or found.dtype != np.float32:
        return f"an array of {found.dtype} and shape {found.shape} instead of float32 and {shape}"
    if not found.size:
        return ""
    low, high = float(found.min()), float(found.max())
    if not (math.isfinite(low) and math.isfinite(high)):  # a NaN anywhere is the lowest and the highest
        return "probabilities that are no numbers"
    if low < -ROUNDING or high > 1 + ROUNDING:
        return f"probabilities from {low:.3g} to {high:.3g} instead of 0 to 1"
    return ""


def open_exported(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """As ``open_untried``, of a file that passed its trial, now or before: it may come from anywhere.

    Raises:
        UserError: as there, or it did not pass.
    """
    engine = _engine_for(file, engine)
    refuse_too_large(file)
    is_checked = has_right_checksum(file)
    ensure_tried(file, engine, precision)
    return _looked_at(open_untried(file, engine, threads, precision), file, is_checked)


def open_made_here(
    file: Path, engine: EngineName = "auto", threads: int = 1, precision: Precision = "auto"
) -> Network:
    """As ``open_untried``, of a file that this machine made: with the right checksum it needs no trial.

    Raises:
        UserError: as there; it was altered, or gives what are no probabilities.
    """
    is_checked = has_right_checksum(file) if file.is_file() else False
    return _looked_at(open_untried(file, engine, threads, precision), file, is_checked)


def _looked_at(network: Network, file: Path, is_checked: bool) -> Network:
    """The network, if what it gives are probabilities; where its file has no checksum that is said."""
    if not is_checked:
        assert network.package is not None
        if network.package.has_checksum:
            raise altered(file)
        say_unchecked(file)
    # Before threads call, too: two that make their first tensors of OpenVINO at the same time wait for each
    # other for ever (2026.4.1: one holds a lock of the library's and waits for Python's, the other the
    # reverse).
    network.refuse_if_wrong()
    return network


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
        return np.asarray(session.run(None, {name: image})[0])

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
        return np.array(request.infer([image], share_inputs=True)[0])

    forward: Forward = infer
    arithmetic = {"bf16": "bfloat16", "f32": "float32", "f16": "float16"}.get(used, used)
    if package.precision == "int8":
        if precision != "auto":
            raise UserError(f"{file}: computes in INT8; leave --precision out")
        forward, arithmetic = _one_at_a_time(core, model, settings), "int8"
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
        return np.stack(found)

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
