"""How class weights are spelled, and which are refused."""

import pytest
from pydantic import ValidationError

from segstudy.config.protocol import Protocol
from segstudy.config.study import override, preset_study
from segstudy.core.class_weights import spelled_weights, weights_in
from segstudy.core.errors import UserError

THREE = "background=0,disc=1,cup=2"


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("None ", None),
        (None, None),
        (" Balanced ", "balanced"),
        ("1+2+5", "1+2+5"),
        ("1.0+.5+05.50", "1+0.5+5.5"),
        ([1, 2, 5], "1+2+5"),
        ([0.25, 1.0], "0.25+1"),
        (3, "3"),
        (1e-05, "0.00001"),
    ],
)
def test_weights_have_one_spelling(given: object, spelled: str | None) -> None:
    assert spelled_weights(given) == spelled
    assert spelled_weights(spelled) == spelled


@pytest.mark.parametrize(
    "text", ["", "1+", "rare", "1+-2", "1,2", "none+1", "nan+1", "inf+1", "1e10+1", "99999999999+1"]
)
def test_other_weights_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"class_weights must be none, balanced or a number for each class"):
        weights_in(text)


def test_a_protocol_takes_weights_for_its_classes_alone() -> None:
    assert Protocol(classes=THREE, class_weights=[1, 2, 5]).class_weights == "1+2+5"
    assert Protocol(classes="disc,cup", class_weights="balanced").class_weights == "balanced"
    assert Protocol().class_weights is None
    with pytest.raises(ValidationError, match="class_weights needs classes"):
        Protocol(class_weights="balanced")
    with pytest.raises(ValidationError, match="must be 3 numbers, for background, disc, cup, got '1\\+2'"):
        Protocol(classes=THREE, class_weights="1+2")
    with pytest.raises(ValidationError, match="must be above 0 for a class that is scored"):
        Protocol(classes=THREE, class_weights="1+0+0")
    assert Protocol(classes=THREE, class_weights="0+1+1").class_weights == "0+1+1"


def test_what_is_wrong_between_two_fields_is_one_short_line() -> None:
    study = preset_study("classic", "s", "synthetic")
    with pytest.raises(UserError) as refused:
        override(study, {"class_weights": ["balanced"]})
    assert str(refused.value) == "class_weights needs classes: leave it out, or give classes"
    with pytest.raises(UserError) as refused:
        override(study, {"classes": [THREE], "class_weights": ["1+2", "balanced"]})
    expected = "class_weights must be 3 numbers, for background, disc, cup, got '1+2'"
    assert str(refused.value) == expected
