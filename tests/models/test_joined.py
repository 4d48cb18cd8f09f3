"""Decoder stages without concatenations: exact, used in bfloat16 alone, and as near to float32 as before."""

import importlib
import sys

import pytest
import torch
from places import ROOT
from torch import Tensor, nn
from torch.nn import functional as F

from segstudy.models import build, joined
from segstudy.models.joined import after_dilated, after_nearest, after_transposed

REWRITTEN = ["unet", "unet:skips=false", "unet2", "dilated_unet"]
SIZES = [(1, 1), (1, 3), (2, 2), (5, 4), (8, 8)]  # of the smaller map


def draw(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn.to(dtype).requires_grad_()


def textbook_stage(stage: nn.Module, skip: Tensor | None, x: Tensor, up: nn.Module | None) -> Tensor:
    size = [2 * side for side in x.shape[-2:]]
    larger = F.interpolate(x, size=size, mode="nearest") if up is None else up(x, output_size=size)
    return stage(larger if skip is None else torch.cat([skip, larger], dim=1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", ["nearest", "nearest alone", "transposed", "dilated"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 3e-14), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_a_joined_stage_is_the_textbooks_in_value_and_gradient(form, size, dtype, tolerance):
    (h, w), alone = size, form == "nearest alone"
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(5 if alone else 8, 4, 3, padding=1, bias=False)).to(dtype)
    dilation = 2 if form == "dilated" else 1
    up = nn.ConvTranspose2d(5, 5, 3, stride=2, padding=dilation, dilation=dilation).to(dtype)
    skip = None if alone else draw(2, 3, 2 * h, 2 * w, seed=1, dtype=dtype)
    x = draw(2, 5, h, w, seed=2, dtype=dtype)
    if form.startswith("nearest"):
        ours, theirs = after_nearest(stage, skip, x), textbook_stage(stage, skip, x, None)
    else:
        ours = (after_dilated if form == "dilated" else after_transposed)(stage, skip, x, up)
        theirs = textbook_stage(stage, skip, x, up)
    learned = [*stage.parameters(), *([] if form.startswith("nearest") else up.parameters())]
    wanted = [x, *learned, *([] if alone else [skip])]
    weight = draw(2, 4, 2 * h, 2 * w, seed=3, dtype=dtype).detach()
    found = [ours, *torch.autograd.grad(ours, wanted, weight)]
    expected = [theirs, *torch.autograd.grad(theirs, wanted, weight)]
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= tolerance * max(1, b.abs().max())


def calls_of_joined(monkeypatch) -> list[str]:
    """The names of the forms as they are called from now on."""
    called: list[str] = []
    for name, module in (("nearest", "unet"), ("transposed", "unet2"), ("dilated", "dilated_unet")):
        form = getattr(joined, f"after_{name}")

        def counted(*args, name=name, form=form):
            called.append(name)
            return form(*args)

        monkeypatch.setattr(importlib.import_module(f"segstudy.models.{module}"), f"after_{name}", counted)
    return called


def logits_of(model: nn.Module, image: Tensor, precision: torch.dtype | None) -> Tensor:
    with torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None):
        return model(image).float()


@pytest.mark.parametrize("architecture", REWRITTEN)
def test_only_doubled_maps_in_bfloat16_are_joined(architecture, monkeypatch):
    """Of 64 px, the maps of 8, 16 and 32 px have at least as many pixels as channels at width 4."""
    called = calls_of_joined(monkeypatch)
    model = build(architecture, 4, seed=0)
    image = torch.rand(2, 3, 64, 64)
    logits_of(model, image, None)
    logits_of(model, torch.rand(2, 3, 33, 47), torch.bfloat16)
    assert called == []
    logits_of(model, image, torch.bfloat16)
    assert len(called) == 3


@pytest.fixture
def textbook(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "throughput"))
    import textbook as module

    yield module.textbook
    sys.modules.pop("textbook")


@pytest.mark.parametrize("architecture", ["unet", "unet2", "dilated_unet"])
def test_in_bfloat16_it_is_no_farther_from_float32_than_the_textbook(textbook, architecture):
    """Logits and gradients of all weights, over a few weights and images: relative distances from float32."""
    ratios = []
    for seed in range(4):
        image = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
        weight = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(seed))

        def passed(model: nn.Module, precision: torch.dtype | None, image=image, weight=weight) -> Tensor:
            logits = logits_of(model, image.contiguous(memory_format=torch.channels_last), precision)
            gradients = torch.autograd.grad((logits * weight).mean(), list(model.parameters()))
            return torch.cat([logits.flatten() / logits.std(), *(each.flatten() for each in gradients)])

        theirs, ours = (
            make(architecture, 8, seed).to(memory_format=torch.channels_last) for make in (textbook, build)
        )
        exact = passed(theirs, None)
        distances = [(passed(model, torch.bfloat16) - exact).norm() for model in (ours, theirs)]
        ratios.append((distances[0] / distances[1]).item())
    assert sum(ratios) / len(ratios) < 1.05
