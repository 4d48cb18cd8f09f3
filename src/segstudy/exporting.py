"""A run's network as a file that runs without PyTorch: ONNX or OpenVINO, float32 or INT8.

The graph takes RGB images at network size as they are, ``(N, H, W, 3)`` uint8, and gives foreground
probabilities ``(N, H, W)``; the resizing before and after is ``preprocess``'s, whose version stands in the
file's metadata, with the whole model card. Batch and size are free, but of OpenVINO's INT8, which is
fixed to one image of the network's size.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import segstudy
from segstudy import libraries
from segstudy.cards import CARD_FORMAT, Card, Package
from segstudy.checkpoint import load_model
from segstudy.engines import METADATA
from segstudy.errors import UserError
from segstudy.files import write_bytes
from segstudy.pytorch_engine import Deployed
from segstudy.records import CARD
from segstudy.reporting.modelcard import as_markdown, model_card
from segstudy.trained import Models, run_name

OPSET = 18
QUANTIZED = ["Conv", "ConvTranspose"]  # layers
INPUT, OUTPUT = "image", "probability"
INPUT_TEXT = "RGB image at network size, uint8, (N, H, W, 3); see card.image_size and card.resize"
OUTPUT_TEXT = "foreground probability, float32, (N, H, W); resize it bilinearly, then threshold"

Format = Literal["onnx", "openvino"]
SUFFIX: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml"}


def onnx_of(folder: Path) -> bytes:
    """The network of a run's folder as an ONNX model, without metadata.

    Raises:
        UserError: as ``checkpoint.load_model``; onnx or onnxscript is not installed.
    """
    _need("onnx", "onnxscript")
    network, _ = load_model(folder)
    example = torch.zeros(2, 64, 96, 3, dtype=torch.uint8)
    free = torch.export.Dim.DYNAMIC
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            Deployed(network).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes=({0: free, 1: free, 2: free},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def quantized(model: bytes, images: NDArray[np.uint8]) -> bytes:
    """An ONNX model in INT8, calibrated on images ``(N, H, W, 3)`` at network size.

    Weights per channel, activations per tensor. The first convolution and the last, which see pixels and make
    logits, stay as they are: SegNet loses .006 IoU with them and .001 without (docs/LOG.md).
    """
    _need("onnx", "onnxruntime")
    libraries.onnxruntime()
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[dict[str, Any]] = iter({INPUT: image[None]} for image in images)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.rest, None)

    with tempfile.TemporaryDirectory() as place, quiet():
        plain, ready, small = (str(Path(place) / f"{name}.onnx") for name in ("plain", "ready", "small"))
        Path(plain).write_bytes(model)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        layers = [node.name for node in onnx.load(ready).graph.node if node.op_type in QUANTIZED]
        quantize_static(
            ready,
            small,
            Images(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTIZED,
            nodes_to_exclude=[layers[0], layers[-1]],
        )
        return Path(small).read_bytes()


def write_model(model: bytes, package: Package, file: Path) -> None:
    """Write an ONNX model with its package as ``.onnx``, or as ``.xml`` and ``.bin`` for OpenVINO.

    Raises:
        DiskError: it cannot be written.
        UserError: OpenVINO is not installed.
    """
    text = package.model_dump_json()
    if file.suffix == ".onnx":
        write_bytes(file, _with_metadata(model, text))
        return
    _need("openvino")
    openvino = libraries.openvino()
    with tempfile.TemporaryDirectory() as place:
        graph = openvino.Core().read_model(model)
        if package.precision == "int8":  # computed wrongly with free ones, see ``engines``
            graph.reshape([1, *package.card.image_size, 3])
        graph.set_rt_info(text, METADATA)
        openvino.save_model(graph, Path(place) / "model.xml", compress_to_fp16=False)
        # The weights first: whoever finds the graph finds them too.
        write_bytes(file.with_suffix(".bin"), (Path(place) / "model.bin").read_bytes())
        write_bytes(file, (Path(place) / "model.xml").read_bytes())


def _with_metadata(model: bytes, text: str) -> bytes:
    import onnx

    graph = onnx.load_from_string(model)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {METADATA: text})
    graph.producer_name, graph.producer_version = "segstudy", segstudy.__version__
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def package_of(models: Models, record: Mapping[str, Any], precision: Literal["float32", "int8"]) -> Package:
    """What an exported file of a run says of itself."""
    about = model_card(models, record)
    card = Card.model_validate_json((models.folder(record) / CARD).read_text(encoding="utf-8"))
    return Package(
        format=CARD_FORMAT,
        card=card,
        name=run_name(record),
        preprocessing=record["description"]["numerics"]["preprocessing"],
        input=INPUT_TEXT,
        output=OUTPUT_TEXT,
        classes=("background", "foreground"),
        metric="mean per-image IoU of the foreground",
        data=about["data"],
        precision=precision,
        segstudy=segstudy.__version__,
        text=as_markdown(about),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters log and warn of what is none of the user's concern; what goes wrong is raised."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


def _need(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} not installed; pip install 'segstudy[export]'")
