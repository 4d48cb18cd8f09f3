"""The benchmarks compare equals: the textbook's networks compute what ours compute."""

import sys

import pytest
import torch
from places import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def textbook(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "throughput"))
    import textbook as module

    yield module
    sys.modules.pop("textbook")


@pytest.mark.parametrize("size", [64, 50])
@pytest.mark.parametrize("architecture", ["segnet", "unet", "unet2", "dilated_unet"])
def test_a_textbook_network_is_ours_in_value_and_gradient(textbook, architecture, size):
    from segstudy.models import build

    theirs, ours = textbook.textbook(architecture, 4, 0), build(architecture, 4, 0)
    # The same image every time: two almost equal pixels of one window may swap, and SegNet unpools elsewhere.
    image = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    for network in (theirs, ours):
        network(image).square().mean().backward()
    assert torch.allclose(theirs(image), ours(image), atol=1e-5)
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-5, rtol=1e-3)
