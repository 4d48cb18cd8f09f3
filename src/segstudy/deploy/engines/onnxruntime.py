"""ONNX Runtime."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segstudy.core import libraries
from segstudy.core.errors import UserError
from segstudy.deploy.engines.base import METADATA, Network, Precision, damaged, missing
from segstudy.store.card import parse_package


def open_file(file: Path, _threads: int, precision: Precision) -> Network:
    """Open an .onnx file; each caller uses its own thread."""
    if precision == "bfloat16":
        raise UserError("ONNX Runtime has no bfloat16 on a CPU; use --engine openvino or omit --precision")
    try:
        onnxruntime = libraries.onnxruntime()
    except ImportError:
        raise missing("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # of each call; callers run side by side
    options.log_severity_level = 4  # errors are raised
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(METADATA, "")
    except Exception as error:  # its exceptions have no common class of their own
        raise damaged(file, error) from None
    package = parse_package(text, file)
    name = session.get_inputs()[0].name

    def forward(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {name: image})[0])

    return Network(package.card, package.name, f"ONNX Runtime, {package.precision}", forward, package)
