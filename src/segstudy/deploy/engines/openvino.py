"""OpenVINO."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core import libraries
from segstudy.core.errors import UserError
from segstudy.deploy.engines.base import METADATA, Forward, Network, Precision, damaged, missing
from segstudy.store.card import parse_package


def open_file(file: Path, threads: int, precision: Precision) -> Network:
    """Open an .xml file with its weights beside it, or an .onnx file."""
    try:
        openvino = libraries.openvino()
    except ImportError:
        raise missing("openvino") from None
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
    except Exception as error:  # the library raises many kinds
        raise damaged(file, error) from None

    def infer(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = compiled.create_infer_request()
        return np.array(request.infer([image], share_inputs=True)[0])

    forward: Forward = infer
    arithmetic = {"bf16": "bfloat16", "f32": "float32", "f16": "float16"}.get(used, used)
    if package.precision == "int8":
        if precision != "auto":
            raise UserError(f"{file}: computes in INT8; omit --precision")
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
    """The package's text: OpenVINO's own files and ONNX files keep it in their runtime information."""
    for path in ([METADATA], ["framework", METADATA]):
        if model.has_rt_info(path):
            return str(model.get_rt_info(path).astype(str))
    return ""
