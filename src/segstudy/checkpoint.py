"""Weights and a card in, a model out; and a training's state, to go on from.

Nothing loaded can run code: weights are safetensors, the card is JSON, the state is read by PyTorch's
``weights_only`` loader, and a card never leads to a user's own source file.
"""

import errno
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from segstudy.cards import CARD_FORMAT, Card, read_card
from segstudy.components import parse
from segstudy.errors import UserError
from segstudy.models import build
from segstudy.records import CARD, WEIGHTS

# As PyTorch puts it on a CPU under Linux and Windows, on CUDA and on MPS.
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


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
        UserError: no model there, a card that is none, a network from a user's own file, or weights that do
            not fit.
    """
    card = read_card(folder / CARD)
    _refuse_own_code(folder / CARD, card)
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


def _refuse_own_code(file: Path, card: Card) -> None:
    try:
        component = parse(card.architecture)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if component.file is not None:
        raise UserError(
            f"{file}: its network {card.architecture!r} comes from a file of one's own, and segstudy runs "
            "no code that a model's folder names"
        )


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
