"""Weights and a card in, a model out. Safetensors and JSON only: nothing loaded can run code."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segstudy.errors import UserError
from segstudy.models import build

WEIGHTS, CARD = "model.safetensors", "model.json"
CARD_FORMAT = 1


def save_model(folder: Path, weights: dict[str, Tensor], card: dict[str, Any]) -> None:
    """Write ``model.safetensors`` and ``model.json``; equal weights and card give equal bytes.

    No metadata goes into the safetensors file: with several keys its bytes differ from process to process.
    """
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    text = json.dumps({"format": CARD_FORMAT, **card}, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a run folder, in evaluation mode on the CPU, and its card.

    Raises:
        UserError: no model there, or weights that do not fit the card.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: holds no readable model ({error})") from None
    if card.get("format") != CARD_FORMAT:
        raise UserError(f"{folder / CARD}: format {card.get('format')!r} is not one this version knows")
    model = build(card["architecture"], card["width"], seed=0)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{folder}: the weights do not fit {card['architecture']}: {error}") from None
    return model.eval(), card


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's state on the CPU, in the ordinary memory format."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
