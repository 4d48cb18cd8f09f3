"""OpenVINO."""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core import libraries
from segstudy.core.errors import UserError
from segstudy.deploy.engines.base import METADATA, Network, Precision, damaged, missing
from segstudy.store.card import parse_package

# Versions of ``Network.arithmetic``: with fixed sizes, OpenVINO rounds .1 % of the pixels in another way.
ARITHMETIC = {"bfloat16": 2}


def open_file(file: Path, threads: int, precision: Precision) -> Network:
    """Open an .xml file with its weights beside it, or an .onnx file."""
    try:
        openvino = libraries.openvino()
    except ImportError:
        raise missing("openvino") from None
    try:
        core = openvino.Core()
        model = core.read_model(file)
        package = parse_package(_metadata(model), file)
        if package.precision == "int8" and precision != "auto":
            raise UserError(f"{file}: computes in INT8; omit --precision")
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        if precision != "auto":
            settings["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[precision]
        sizes = _Sizes(core, model, settings, package.card.num_channels)
        compiled = sizes.of(*package.card.image_size).compiled
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except UserError:
        raise
    except Exception as error:  # the library raises many kinds
        raise damaged(file, error) from None
    arithmetic = {"bf16": "bfloat16", "f32": "float32", "f16": "float16"}.get(used, used)
    if package.precision == "int8":
        arithmetic = "int8"
    version = ARITHMETIC.get(arithmetic, 1)
    return Network(package.card, package.name, f"OpenVINO, {arithmetic}", sizes.forward, package, version)


class _OneSize:
    """A model compiled for one image of a fixed size.

    Fixed sizes take a tenth less time than free ones, and INT8 is right with them alone: with a free batch or
    size, networks that carry sizes along are far off (2026.4.1: a fifth of the pixels differed for SegNet and
    DilatedUNet, and one in a hundred with fixed sizes; docs/LOG.md).
    """

    def __init__(self, compiled: Any):
        self.compiled = compiled
        self._free: list[Any] = []  # requests that nobody uses: making one takes as long as a small network

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map an image ``(1, H, W, channels)`` to its probabilities; for several threads at once."""
        try:
            request = self._free.pop()
        except IndexError:
            request = self.compiled.create_infer_request()
        found = np.array(request.infer([image], share_inputs=True)[0][0])
        self._free.append(request)
        return found


class _Sizes:
    """A model compiled for each size of image that comes: flips and turns may have another one."""

    def __init__(self, core: Any, model: Any, settings: dict[str, Any], channels: int):
        self._core, self._model, self._settings, self._channels = core, model, settings, channels
        self._lock = Lock()
        self._known: dict[tuple[int, int], _OneSize] = {}

    def of(self, height: int, width: int) -> _OneSize:
        with self._lock:
            if (height, width) not in self._known:
                fixed = self._model.clone()
                fixed.reshape([1, height, width, self._channels])
                self._known[height, width] = _OneSize(self._core.compile_model(fixed, "CPU", self._settings))
            return self._known[height, width]

    def forward(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map images ``(N, H, W, channels)`` to probabilities, one by one: batches are no quicker."""
        of_size = self.of(images.shape[1], images.shape[2])
        return np.stack([of_size(image[None]) for image in images])


def _metadata(model: Any) -> str:
    """The package's text: OpenVINO's own files and ONNX files keep it in their runtime information."""
    for path in ([METADATA], ["framework", METADATA]):
        if model.has_rt_info(path):
            return str(model.get_rt_info(path).astype(str))
    return ""
