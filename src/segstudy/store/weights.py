"""Reading and writing a model's weights, and the state of a training.

Nothing loaded can run code: weights are safetensors, the card is JSON, the state is read by PyTorch's
``weights_only`` loader, and a card never makes segstudy run a user's source file: the user must name it.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from segstudy.core.checksums import check_weights
from segstudy.core.device import is_out_of_memory
from segstudy.core.errors import UserError, one_line, typed_line
from segstudy.core.registry import Component, parse
from segstudy.models import build, resolve_architecture
from segstudy.store.card import CARD_FORMAT, Card, read_card
from segstudy.store.own_networks import own_network, refuse_other_version
from segstudy.store.records import CARD, WEIGHTS


def model_files(weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> dict[str, bytes]:
    """Return ``model.safetensors`` and ``model.json``; equal weights and card give equal bytes.

    The card gets the weights' SHA-256.
    No metadata goes into the safetensors file: with several keys its bytes differ from process to process.
    """
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()})
    whole = {"format": CARD_FORMAT, **card, "weights_sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False)
    return {WEIGHTS: content, CARD: (text + "\n").encode()}


def load_model(
    folder: Path, network: str | None = None, checked: bool = False
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of a model's folder, in evaluation mode on the CPU, and its card.

    Args:
        folder: with ``model.json`` and ``model.safetensors``, such as a run's.
        network: ``my.py:Net`` or ``package.module:Net``, for one that is not ours, see
            ``own_networks.own_network``.
        checked: whether the checksums were compared already.

    Raises:
        UserError: no model there, an invalid card, a user's own network that is not named or is another,
            weights that do not fit, were altered, or are not finite.
    """
    card = read_card(folder / CARD)
    own = own_network(card, folder / CARD, network)
    _refuse_other_version(card, folder / CARD)
    try:
        weights = safetensors.torch.load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{folder / WEIGHTS}: the weights cannot be read ({error}); "
            "`segstudy verify` checks a study's folder"
        ) from None
    try:
        model = _build_own(own, card) if own else _build_empty(card)
        _refuse_other_shapes(model, weights)
        model.load_state_dict(weights, assign=own is None)
    except UserError as error:
        raise UserError(f"{folder / CARD}: {error}") from None
    except (RuntimeError, ValueError, OverflowError, TypeError) as error:
        reason = one_line(error, 200)
        raise UserError(
            f"{folder}: the weights do not fit {card.architecture} of width {card.width} ({reason}); "
            "take model.json and model.safetensors from one run"
        ) from None
    if not checked:
        check_weights(folder / WEIGHTS, folder / CARD, card.weights_sha256)
    _refuse_no_numbers(folder / WEIGHTS, weights, allow_infinite=own is not None)
    return model.eval(), card.model_dump(mode="json")


def _refuse_other_version(card: Card, file: Path) -> None:
    """Refuse a plug-in's network of another version than the model was trained with, before it is built."""
    component = parse(card.architecture)
    if component.file or component.module:
        return  # compared with what the user named
    try:
        found = resolve_architecture(card.architecture)[1]
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if isinstance(found, str):
        refuse_other_version(card, file, f"{file}: {card.architecture}", found)


def _build_empty(card: Card) -> nn.Module:
    """Return one of our networks without memory for its weights, as a card may ask for any size."""
    with torch.device("meta"):
        return build(card.architecture, card.width, 0, card.outputs, card.num_channels)


def _build_own(own: Component, card: Card) -> nn.Module:
    """Return a user's own network as its training began: values outside of its state may be random too."""
    seed = card.training.get("seed", 0)
    try:
        number = seed if isinstance(seed, int) else 0
        return build(
            own.spelling,
            card.width,
            number,
            card.outputs,
            card.num_channels,
            named_as=card.architecture,
        )
    except UserError:
        raise
    except Exception as error:  # the user's own code may raise anything
        reason = typed_line(error, 200)
        raise UserError(
            f"{own.title} cannot be built: {reason}; correct its code and train it again"
        ) from None


def _refuse_no_numbers(file: Path, weights: Mapping[str, Tensor], allow_infinite: bool) -> None:
    """Refuse weights that are not finite; networks that are not ours may use infinities, for a mask."""
    odd = sorted(
        name
        for name, tensor in weights.items()
        if tensor.is_floating_point() and not (~tensor.isnan() if allow_infinite else tensor.isfinite()).all()
    )
    if odd:
        more = f" and {len(odd) - 1} more tensors" if len(odd) > 1 else ""
        raise UserError(f"{file}: {odd[0]}{more}: not all weights are finite numbers; train it again")


def _refuse_other_shapes(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    wanted = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()}
    odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise ValueError(f"{odd[0]}{more} of another name, shape or type")


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the network's state on the CPU, in the contiguous memory format."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


def state_bytes(state: Mapping[str, Any]) -> memoryview:
    """Return a training's state, tensors and plain values, as ``torch.save`` writes it."""
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    return stream.getbuffer()


def read_state(content: bytes) -> dict[str, Any] | None:
    """Read what ``state_bytes`` wrote; None for anything else. No code in it is run."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # its readers raise whatever happens to them over foreign bytes
        if is_out_of_memory(error):  # says nothing about the state
            raise
        return None
    return state if isinstance(state, dict) else None
