"""Compute the losses of segmentation_models_pytorch on small fixed inputs, into ``smp_losses.json``.

It needs torchvision, which segstudy does not, so it runs in an environment of its own, once:

    python -m venv smp
    smp/bin/pip install torch==2.14.1 torchvision==0.29.1 segmentation_models_pytorch==0.6.0
    smp/bin/python tests/references/smp_losses.py

The file it writes is committed, inputs included; ``losses/test_losses_oracles.py`` compares with it.
"""

import json
from importlib.metadata import version
from pathlib import Path

import torch
from segmentation_models_pytorch.losses import DiceLoss, FocalLoss, SoftBCEWithLogitsLoss, TverskyLoss
from torch import Tensor, nn

HEIGHT_PX, WIDTH_PX = 8, 9
PIXELS = HEIGHT_PX * WIDTH_PX
RECIPE = (
    "pixel i, counted through the batch: logit ((37 i + 11) mod 101 - 50) / 20; "
    "foreground where (29 i + 7) mod 72 is below the image's number of foreground pixels"
)

LOSSES: dict[str, nn.Module] = {
    "bce": SoftBCEWithLogitsLoss(),
    "focal": FocalLoss("binary", alpha=None, gamma=2.0),
    "dice:smooth=0": DiceLoss("binary", from_logits=True, smooth=0.0),
    "dice:smooth=1": DiceLoss("binary", from_logits=True, smooth=1.0),
    "tversky:smooth=0": TverskyLoss("binary", from_logits=True, smooth=0.0, alpha=0.3, beta=0.7),
    "tversky:smooth=1": TverskyLoss("binary", from_logits=True, smooth=1.0, alpha=0.3, beta=0.7),
}

# Foreground pixels of each image of a batch.
CASES = {"one image": [23], "four images": [2, 13, 36, 65], "empty target": [0, 0]}


def example(num_foreground: list[int]) -> tuple[Tensor, Tensor]:
    """Logits and target ``(batch, 1, 8, 9)``, in float64, as ``RECIPE`` says."""
    i = torch.arange(len(num_foreground) * PIXELS)
    logits = ((37 * i + 11) % 101 - 50).double() / 20
    target = (29 * i + 7) % PIXELS < torch.tensor(num_foreground).repeat_interleave(PIXELS)
    shape = (len(num_foreground), 1, HEIGHT_PX, WIDTH_PX)
    return logits.view(shape), target.double().view(shape)


def value_and_gradient(loss: nn.Module, logits: Tensor, target: Tensor) -> dict[str, float]:
    """The loss in float32, and the largest absolute value of its gradient."""
    logits = logits.float().requires_grad_()
    value = loss(logits, target.float())
    (gradient,) = torch.autograd.grad(value, logits)
    return {"value": value.item(), "largest_gradient": gradient.abs().max().item()}


def main() -> None:
    cases = {}
    for name, num_foreground in CASES.items():
        logits, target = example(num_foreground)
        cases[name] = {
            "logits": logits.flatten(1).tolist(),
            "target": target.int().flatten(1).tolist(),
            "losses": {text: value_and_gradient(loss, logits, target) for text, loss in LOSSES.items()},
        }
    packages = ("torch", "torchvision", "segmentation_models_pytorch")
    document = {
        "versions": {package: version(package) for package in packages},
        "recipe": RECIPE,
        "height_px": HEIGHT_PX,
        "width_px": WIDTH_PX,
        "cases": cases,
    }
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
