"""Rules for the values of masks, and their spelling."""

import pytest

from segstudy.core.mask_rules import AUTO, DESCRIPTIONS, USUAL, MaskMeaning, MaskRule, parse, spelled


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("auto", MaskRule("auto")),
        (" Larger ", MaskRule("larger")),
        ("inverted", MaskRule("inverted")),
        ("background=0", MaskRule("background", "0")),
        ("background=#00FF00", MaskRule("background", "#00ff00")),
        ("cut=0.5", MaskRule("cut", "0.5")),
        ("cut=-3", MaskRule("cut", "-3")),
        ("nearest", MaskRule("nearest")),
        ("indices", MaskRule("indices")),
    ],
)
def test_a_rule_is_read_as_it_is_spelled(text, rule):
    assert parse(text) == rule
    assert parse(str(rule)) == rule
    assert spelled(text) == str(rule)


@pytest.mark.parametrize(
    "text", ["", "smaller", "background", "background=", "background=red", "cut", "cut=#00ff00", "auto=1"]
)
def test_another_text_is_refused_with_all_rules(text):
    with pytest.raises(ValueError, match="masks must be one of the rules") as caught:
        parse(text)
    assert all(kind in str(caught.value) for kind in DESCRIPTIONS)


def test_a_rule_that_was_never_found_counts_as_the_usual_one():
    assert AUTO.key == USUAL.key
    assert MaskMeaning(MaskRule("inverted")).key != USUAL.key
    assert MaskMeaning(foreground=(1,)).key != USUAL.key
