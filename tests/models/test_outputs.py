"""Networks give one logit per channel of the study's outputs, whoever wrote them."""

from pathlib import Path

import pytest
import torch

from segstudy.core.classes import parse_classes
from segstudy.core.errors import UserError
from segstudy.core.outputs import BINARY, Outputs, outputs_of
from segstudy.models import MODELS, build, refuse_other_logits, resolve_architecture

THREE = outputs_of(parse_classes("background=0,disc=1,cup=2"))
OVERLAPPING = outputs_of(parse_classes("disc,cup"))

OWN = """
from torch import nn

class Channels(nn.Sequential):
    def __init__(self, in_channels, out_channels):
        super().__init__(nn.Conv2d(in_channels, out_channels, 1))

class Classes(nn.Sequential):
    def __init__(self, classes=7):
        super().__init__(nn.Conv2d(3, classes, 1))

class Logits(nn.Sequential):
    def __init__(self, num_logits):
        super().__init__(nn.Conv2d(3, num_logits, 1))

class Fixed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 1, 1))
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    return file


def channels(architecture: str, outputs: Outputs) -> int:
    with torch.no_grad():
        return int(build(architecture, 2, 0, outputs)(torch.rand(2, 3, 32, 32)).shape[1])


@pytest.mark.parametrize("architecture", MODELS)
@pytest.mark.parametrize(("outputs", "number"), [(BINARY, 1), (THREE, 3), (OVERLAPPING, 2)])
def test_ours_give_a_logit_per_channel(architecture, outputs, number):
    assert channels(architecture, outputs) == number


@pytest.mark.parametrize("architecture", MODELS)
def test_all_layers_but_the_last_begin_alike_for_any_number_of_classes(architecture):
    one, three = build(architecture, 2, 0).state_dict(), build(architecture, 2, 0, THREE).state_dict()
    differing = {name for name in one if not torch.equal(one[name], three[name])}
    assert differing == {"head.weight", "head.bias"}


def test_the_number_of_logits_is_no_option():
    with pytest.raises(UserError, match="unet has no option 'num_logits'"):
        resolve_architecture("unet:num_logits=3")


@pytest.mark.parametrize("name", ["Channels:in_channels=3", "Classes", "Logits"])
def test_networks_that_are_not_ours_get_the_number_as_they_name_it(own, name):
    assert channels(f"{own}:{name}", THREE) == 3


def test_a_number_that_has_no_default_is_filled_in_for_binary_studies_too(own):
    assert channels(f"{own}:Channels:in_channels=3", BINARY) == 1
    assert str(resolve_architecture(f"{own}:Channels:in_channels=3")[0]) == "own.py:Channels:in_channels=3"


def test_in_binary_studies_a_default_stays(own):
    """Keys of older versions name no number: their networks must stay what they were."""
    assert channels(f"{own}:Classes", BINARY) == 7


def test_a_number_that_is_given_stays(own):
    assert channels(f"{own}:Classes:classes=5", THREE) == 5


@pytest.mark.parametrize(
    ("outputs", "needed"),
    [
        (BINARY, r"to \(2, 5, 8, 8\), not to \(2, 1, 8, 8\): it must give one logit per pixel$"),
        (THREE, r"not to \(2, 3, 8, 8\): .* 3 logits per pixel, one for each of background, disc, cup$"),
        (OVERLAPPING, r"2 logits per pixel, one for each of disc, cup$"),
    ],
)
def test_other_shapes_are_refused_with_what_is_needed(outputs, needed):
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(UserError, match=needed):
        refuse_other_logits(torch.rand(2, 5, 8, 8), images, outputs, "my.py:Net")
    refuse_other_logits(torch.rand(2, outputs.num_channels, 8, 8), images, outputs, "my.py:Net")
