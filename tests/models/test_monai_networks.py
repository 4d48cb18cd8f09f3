"""The networks of MONAI that docs/commands.md spells out give one logit per class and pixel."""

import re

import pytest
import torch
from places import TESTS

from segstudy.core.outputs import BINARY, Outputs
from segstudy.models import build

PAGE = (TESTS.parent / "docs" / "commands.md").read_text(encoding="utf-8")
SPELLINGS = re.findall(r"^\|.*\| `(monai\.networks\.nets:\S+)` \|$", PAGE, re.M)
THREE = Outputs("multiclass", ("background", "disc", "cup"))


def test_the_page_spells_six_of_them() -> None:
    assert len(SPELLINGS) == 6


@pytest.mark.slow  # MONAI is imported, and some have 7 million parameters
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("architecture", SPELLINGS)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("outputs", [BINARY, THREE], ids=lambda each: each.task)
def test_they_take_any_number_of_channels_and_classes(
    architecture: str, channels: int, outputs: Outputs
) -> None:
    spelled = architecture.replace("in_channels=3", f"in_channels={channels}")
    spelled = spelled.replace("out_channels=1", f"out_channels={outputs.num_channels}")
    network = build(spelled, 16, 0, outputs, channels).eval()
    with torch.inference_mode():
        logits = network(torch.rand(1, channels, 64, 64))
    assert logits.shape == (1, outputs.num_channels, 64, 64)
