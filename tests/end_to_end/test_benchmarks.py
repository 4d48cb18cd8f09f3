"""The benchmarks compare equals: the textbook's networks compute what ours compute."""

import sys

import pytest
import torch
from places import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def throughput(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import throughput as module

    yield module
    for name in ("throughput", "machine"):
        sys.modules.pop(name)


def shown(throughput, capsys, found):
    throughput.show({"machine": {"processor": "P"}, "bfloat16": "AMX", **found})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in (line.strip("| ").split(" | ") for line in lines[1:])}


def test_every_contender_is_compared_with_segstudy(throughput, monkeypatch, capsys):
    def contend(name, _data, _options):
        seconds = 4 if name == "segstudy" else 10
        return {"seconds": seconds, "trainings": [{"architecture": "unet", "seconds": seconds / 4}] * 4}

    monkeypatch.setattr(throughput, "contend", contend)
    rows = shown(throughput, capsys, throughput.grid("data", list(throughput.CONTENDERS), 2, []))
    assert list(rows) == list(throughput.CONTENDERS)
    ours = rows.pop("segstudy")
    assert ours == ["3600", "1.00 x", "3600", "1.00 x"]
    assert all(row == ["1440", "2.50 x", "1440", "2.50 x"] for row in rows.values())


def test_ratios_are_of_one_round(throughput, capsys):
    rates = {"notebook": [100, 50], "segstudy": [200, 200]}
    rows = shown(throughput, capsys, {"grid": rates, "unet": rates})
    assert rows["notebook"] == ["75", "3.00 x", "75", "3.00 x"]


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
