"""Networks take images of as many channels as the study says, whoever wrote them."""

from pathlib import Path

import pytest
import torch

from segstudy.core.errors import UserError
from segstudy.models import MODELS, build, resolve_architecture
from segstudy.models.cost import num_macs

OWN = """
from torch import nn

class Needed(nn.Sequential):
    def __init__(self, in_channels):
        super().__init__(nn.Conv2d(in_channels, 1, 1))

class Default(nn.Sequential):
    def __init__(self, in_chans=3):
        super().__init__(nn.Conv2d(in_chans, 1, 1))

class Named(nn.Sequential):
    def __init__(self, n_channels=1):
        super().__init__(nn.Conv2d(n_channels, 1, 1))
"""


def of(architecture: str, channels: int) -> torch.nn.Module:
    return build(architecture, 2, 0, channels=channels)


@pytest.mark.parametrize("architecture", MODELS)
@pytest.mark.parametrize("channels", [1, 4])
def test_ours_take_any_number(architecture: str, channels: int):
    model = of(architecture, channels)
    assert model(torch.rand(2, channels, 33, 47)).shape == (2, 1, 33, 47)
    with pytest.raises(RuntimeError, match="channels"):
        model(torch.rand(2, 3, 33, 47))
    assert num_macs(model, (32, 32), channels) != num_macs(of(architecture, 3), (32, 32))


@pytest.mark.parametrize("architecture", MODELS)
def test_three_channels_are_the_network_of_older_versions(architecture: str):
    first, second = build(architecture, 2, 0).state_dict(), of(architecture, 3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_number_is_no_option_of_ours():
    with pytest.raises(UserError, match="unet has no option 'image_channels'"):
        resolve_architecture("unet:image_channels=4")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


@pytest.mark.parametrize("name", ["Needed", "Default", "Named"])
def test_networks_that_are_not_ours_get_the_number_as_they_name_it(own: Path, name: str):
    assert of(f"{own}:{name}", 4)[0].in_channels == 4


def test_a_number_that_is_given_stays(own: Path):
    assert of(f"{own}:Needed:in_channels=5", 4)[0].in_channels == 5


def test_of_three_channels_a_default_stays(own: Path):
    """Keys of older versions name no number: their networks must stay what they were."""
    assert of(f"{own}:Named", 3)[0].in_channels == 1
    assert of(f"{own}:Needed", 3)[0].in_channels == 3
