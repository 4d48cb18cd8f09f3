"""Weights and a card in, a model out; and a training's state, to go on from.

Nothing loaded can run code: weights are safetensors, the card is JSON, the state is read by PyTorch's
``weights_only`` loader, and a card never leads to a user's own source file.
"""

import errno
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from segstudy.components import parse
from segstudy.config import Frozen, Positive, Size
from segstudy.errors import UserError
from segstudy.models import build
from segstudy.records import CARD, WEIGHTS

CARD_FORMAT = 1
MAX_CARD_BYTES = 1_000_000

# As PyTorch puts it on a CPU under Linux and Windows, on CUDA and on MPS.
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


class Card(Frozen):
    """What goes with the weights.

    Attributes:
        format: of the card.
        key: the run's.
        architecture: with options, never a user's own file.
        width: channels of the first stage.
        image_size: height and width in pixels at which the network was trained.
        resize: how images are brought to that size.
        threshold: of the probability, for a mask.
        training: the run's description.
        selected_epoch: counted from 1.
        tuned_threshold: the threshold best on validation.
        scores: mean metrics by part and column of ``images.parquet``.
    """

    format: Literal[1]
    key: str
    architecture: str
    width: Positive
    image_size: Size
    resize: Literal["squash", "pad"]
    threshold: float = Field(ge=0, le=1)
    training: dict[str, Any]
    selected_epoch: Positive
    tuned_threshold: float = Field(ge=0, le=1)
    scores: dict[str, dict[str, float]]


def model_files(weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> dict[str, bytes]:
    """``model.safetensors`` and ``model.json``; equal weights and card give equal bytes.

    No metadata goes into the safetensors file: with several keys its bytes differ from process to process.
    """
    text = json.dumps({"format": CARD_FORMAT, **card}, indent=2, sort_keys=True, ensure_ascii=False)
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    return {WEIGHTS: safetensors.torch.save(tensors), CARD: (text + "\n").encode()}


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a run folder, in evaluation mode on the CPU, and its card.

    Raises:
        UserError: no model there, a card that is none, or weights that do not fit it.
    """
    card = read_card(folder / CARD)
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{folder / WEIGHTS}: no readable weights ({error}); `segstudy verify` checks a study's folder"
        ) from None
    try:
        with torch.device("meta"):  # shapes without memory: a card may ask for a network of any size
            model = build(card.architecture, card.width, seed=0)
        _refuse_other_shapes(model, weights)
        model.load_state_dict(weights, assign=True)
    except UserError as error:
        raise UserError(f"{folder / CARD}: {error}") from None
    except (RuntimeError, ValueError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder}: the weights do not fit {card.architecture} of width {card.width} ({reason[:200]}); "
            "take model.json and model.safetensors from one run"
        ) from None
    return model.eval(), card.model_dump(mode="json")


def read_card(file: Path) -> Card:
    """A model's card.

    Raises:
        UserError: not there, no JSON, of another format, with fields that do not make sense, or of a network
            from a user's own file.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CARD_BYTES + 1)
        raw = json.loads(text) if len(text) <= MAX_CARD_BYTES else "too long to be a card"
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); a model is a run's folder") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: no JSON ({error}); take it from its run again") from None
    if isinstance(raw, dict) and raw.get("format") != CARD_FORMAT:
        raise UserError(
            f"{file}: format {raw.get('format')!r} is not one this version knows; update segstudy"
        )
    try:
        card = Card.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the card"
        raise UserError(f"{file}: {where}: {first['msg']}; take it from its run again") from None
    try:
        component = parse(card.architecture)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if component.file is not None:
        raise UserError(
            f"{file}: its network {card.architecture!r} comes from a file of one's own, and segstudy runs "
            "no code that a model's folder names"
        )
    return card


def _refuse_other_shapes(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}
    odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise ValueError(f"{odd[0]}{more} of another name, shape or type")


def is_out_of_memory(error: BaseException) -> bool:
    """Of the device or the host: several of PyTorch's allocators raise a plain ``RuntimeError``."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's state on the CPU, in the ordinary memory format."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


def state_bytes(state: Mapping[str, Any]) -> memoryview:
    """A training's state, tensors and plain values, as ``torch.save`` writes it."""
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    return stream.getbuffer()


def read_state(content: bytes) -> dict[str, Any] | None:
    """What ``state_bytes`` wrote; None for anything else, and nothing in it is run."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # its readers raise whatever happens to them over foreign bytes
        if is_out_of_memory(error):  # says nothing about the state
            raise
        return None
    return state if isinstance(state, dict) else None
