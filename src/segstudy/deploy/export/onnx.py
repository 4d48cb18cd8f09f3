"""A run's network as an ONNX graph, float32 or INT8, and the format ``onnx``.

The graph takes RGB images at network size as they are, or windows of images that are not resized,
``(N, H, W, 3)`` uint8 (or of as many channels as the model has), and gives probabilities: of the foreground
``(N, H, W)``, of several classes ``(N, K, H, W)``. The resizing before and after is that of ``preprocess``,
whose version is in the file's metadata, with the whole model card; the windows and their blending are those
of ``data.windows``. Batch and size are free, but of OpenVINO's INT8, which is fixed to one image of the
network's size.
"""

import io
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segstudy.core import libraries
from segstudy.core.atomic_files import write_bytes
from segstudy.core.errors import UserError, one_line
from segstudy.core.outputs import Task
from segstudy.core.score_words import of_foreground
from segstudy.core.version import __version__
from segstudy.deploy.engines.base import METADATA
from segstudy.deploy.engines.pytorch import Deployed
from segstudy.deploy.export import GRAPH_PACKAGES
from segstudy.deploy.export.card_markdown import as_markdown
from segstudy.deploy.export.model_card import model_card
from segstudy.deploy.file_kinds import kind_of
from segstudy.deploy.file_kinds.checksums import with_checksum
from segstudy.metrics import HEADLINE, METRICS
from segstudy.store.card import CARD_FORMAT, Card, Package, read_card
from segstudy.store.own_networks import is_own
from segstudy.store.records import CARD, TrainedRecord
from segstudy.store.trained_models import Models, run_name
from segstudy.store.weights import load_model

OPSET = 18
MAX_FLIPPED = (
    1e-4  # of all pixels, by inference in float32: an exported graph that differs by more is refused
)
QUANTIZED = ["Conv", "ConvTranspose"]  # layers
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of terminals, in messages of exporters
INPUT, OUTPUT = "image", "probability"
OUTPUT_TEXTS: dict[Task, str] = {
    "binary": "foreground probability, float32, (N, H, W); {whole}, then threshold",
    "multiclass": "probability of each class, float32, (N, K, H, W), in the order of classes; {whole}, then "
    "take the class with the highest one, of equal ones the first",
    "multilabel": "probability of each class, float32, (N, K, H, W), in the order of classes; {whole}, then "
    "threshold",
}


def onnx_of(folder: Path, network: str | None = None, checked: bool = False) -> bytes:
    """Return the network of a model's folder as an ONNX model, without metadata.

    Args:
        folder: with ``model.json`` and ``model.safetensors``.
        network: ``my.py:Net``, for a network from a file of one's own.
        checked: whether the checksums were compared already.

    Raises:
        UserError: as ``checkpoint.load_model``; onnx or onnxscript is not installed.
    """
    need(*GRAPH_PACKAGES)
    module, card = load_model(folder, network, checked)
    described = Card.model_validate(card)
    deployed, free = Deployed(module, described.outputs).eval(), torch.export.Dim.DYNAMIC
    channels = described.num_channels
    try:
        return _traced(deployed, (64, 96, channels), {0: free, 1: free, 2: free})
    except Exception:  # a network that is not ours, made for its image size: batches alone are free then
        if not is_own(described, folder / CARD):
            raise
    try:
        return _traced(deployed, (*described.image_size, channels), {0: free})
    except Exception as error:  # exporters and networks raise whatever they like
        name = network or card["architecture"]
        raise UserError(
            f"{name}: cannot be exported ({in_a_line(error)}); what it computes may not depend on the "
            "values of pixels, and PyTorch's exporter has to know its operators"
        ) from None


def in_a_line(error: BaseException) -> str:
    """Return the first error in a line: exporters wrap errors in others, with advice for their developers."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = COLOUR.sub("", f"{type(error).__name__}: {error}".split("\n\n")[0])
    return one_line(text, 200)


def _traced(deployed: nn.Module, shape: tuple[int, ...], free: dict[int, Any]) -> bytes:
    example = torch.zeros(2, *shape, dtype=torch.uint8)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            dynamic_shapes=(free,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    return bytes(model.SerializeToString())


def _strip(message: Any) -> None:
    """Remove the origin of the graph: stack traces, paths and names of this machine."""
    names = {field.name for field in message.DESCRIPTOR.fields}
    for name in names & {"doc_string", "metadata_props"}:
        message.ClearField(name)
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for each in value if hasattr(value, "add") else [value]:
                _strip(each)


def quantized(model: bytes, images: NDArray[np.uint8]) -> bytes:
    """Return an ONNX model in INT8, calibrated on images ``(N, H, W, channels)`` at network size.

    Weights per channel, activations per tensor. The first convolution and the last, which see pixels and make
    logits, stay as they are: SegNet loses .006 IoU with them and .001 without (docs/LOG.md).
    """
    need("onnx", "onnxruntime")
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


def write_onnx(model: bytes, package: Package, file: Path) -> None:
    """Write an ONNX model with its package: the format ``onnx``."""
    write_bytes(file, with_checksum(kind_of(file), _with_metadata(model, package.model_dump_json())))


def _with_metadata(model: bytes, text: str) -> bytes:
    import onnx

    graph = onnx.load_from_string(model)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {METADATA: text})
    graph.producer_name, graph.producer_version = "segstudy", __version__
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def package_of(models: Models, record: TrainedRecord, precision: Literal["float32", "int8"]) -> Package:
    """Return the package of a run's exported file."""
    about = model_card(models, record)
    folder = models.folder(record)
    card = read_card(folder / CARD)
    return Package(
        format=CARD_FORMAT,
        card=card,
        name=run_name(record),
        preprocessing=_preprocessing(card, folder / CARD),
        input=_input_text(card),
        output=_output_text(card),
        classes=card.outputs.names,
        metric=f"mean per-image {METRICS[HEADLINE].title}{of_foreground(card.outputs)}",
        data=about["data"],
        precision=precision,
        segstudy=__version__,
        text=as_markdown(about),
        has_checksum=True,
    )


def _input_text(card: Card) -> str:
    """Return what the graph takes, in words."""
    what, size, more = "image", "network size", "resize"
    if card.windowing is not None:
        what, size, more = "window", "the image's own size", "overlap"
    pixels = f"RGB {what} at {size}, uint8"
    if card.channels is not None:
        pixels = f"{what} of {card.channels} channels at {size}, uint8 by the scale card.training.intensity"
    return f"{pixels}, (N, H, W, {card.num_channels}); see card.image_size and card.{more}"


def _output_text(card: Card) -> str:
    """Return what the graph gives, in words."""
    whole = f"resize {'it' if card.outputs.task == 'binary' else 'each'} bilinearly"
    if card.windowing is not None:
        whole = "blend the windows as segstudy.data.windows does"
    return OUTPUT_TEXTS[card.outputs.task].format(whole=whole)


def _preprocessing(card: Card, file: Path) -> Literal[1, 2]:
    """Return the version of ``preprocess`` by which the network's images were made."""
    numerics = card.training.get("numerics")
    match numerics.get("preprocessing") if isinstance(numerics, dict) else None:
        case 1:
            return 1
        case 2:
            return 2
    raise UserError(f"{file}: does not say how its images were prepared; copy the model again from its run")


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress logs and warnings of exporters while inside; errors are raised."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    before, disabled = [each.level for each in loggers], logging.root.manager.disable
    logging.disable(logging.ERROR)
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        # PyTorch prints the whole graph over which it failed.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


def need(*packages: str) -> None:
    """Raise an error if one of these packages is missing, before any is imported."""
    if missing := libraries.not_installed(*packages):
        raise UserError(f"{' and '.join(missing)} not installed; pip install 'segstudy[export]'")
