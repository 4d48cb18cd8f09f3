"""The words of the headline and of the decision."""

import pytest

from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.score_words import absent_convention, decision, headline, of_foreground

SEVERAL = Outputs("multiclass", ("background", "disc", "cup"))
ALL_SCORED = Outputs("multiclass", ("forest", "water"))
ONE = Outputs("multiclass", ("background", "lesion"))
OVERLAPPING = Outputs("multilabel", ("disc", "cup"))


@pytest.mark.parametrize(
    ("outputs", "named", "decided"),
    [
        (BINARY, "", "threshold .5"),
        (SEVERAL, " over foreground classes", "the most probable class"),
        (ALL_SCORED, " over classes", "the most probable class"),
        (ONE, " of lesion", "the most probable class"),
        (OVERLAPPING, " over classes", "threshold .5 for each class"),
    ],
)
def test_the_headline_names_its_classes_and_the_decision_its_rule(outputs, named, decided):
    assert headline(outputs) == f"mean per-image IoU{named}"
    assert of_foreground(outputs) == (named or " of the foreground")
    assert decision(outputs) == decided
    assert bool(absent_convention(outputs)) == (outputs.task != "binary")
