"""The spelling of classes, and what follows from them for a network's outputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.core.classes import MaskClass, parse_classes, spelled_classes
from segstudy.core.outputs import BINARY, IGNORED, IGNORED_BITS, Outputs, outputs_of
from segstudy.core.palette import COLOURS, rgb_of

THREE = "background=0,disc=1,cup=2"


def test_classes_have_names_and_values():
    assert parse_classes("Background=0, optic disc = 1+3,cup=#FF0000") == (
        MaskClass("Background", (0,)),
        MaskClass("optic disc", (1, 3)),
        MaskClass("cup", ("#ff0000",)),
    )
    assert parse_classes("disc,cup") == (MaskClass("disc"), MaskClass("cup"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"background": 0, "disc": [1, 3], "cup": "#FF0000"}, "background=0,disc=1+3,cup=#ff0000"),
        (["disc", "cup"], "disc,cup"),
        (" background = 0 ,disc=1", "background=0,disc=1"),
        (7, 7),  # refused by its type
    ],
)
def test_classes_are_spelled_in_one_way(written, meant):
    assert spelled_classes(written) == meant
    assert spelled_classes(meant) == meant


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be names with mask values"),
        ("disc=1", "two or more"),
        ("a=1,a=2", "name a once"),
        ("a=1,A=2", "name a once"),
        ("a=1,b=1", "name 1 once"),
        ("a=1,b", "all have mask values, or none of them: b has none"),
        ("a=1,b=x", "numbers or colours .*, got 'x' for b"),
        ("a=1,b=-1", "numbers or colours"),
        ("a=1,background=0", "begin with background"),
        ("background,disc", "no background"),
        ("a/b=1,c=2", "must be names"),
        (",".join(f"c{i}={i}" for i in range(255)), "at most 254"),
        (",".join(f"c{i}" for i in range(16)), "at most 15"),
    ],
)
def test_what_are_no_classes_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_classes(text)


def test_outputs_follow_from_classes():
    assert outputs_of(()) == BINARY
    three = outputs_of(parse_classes(THREE))
    assert (three.task, three.names, three.scored) == ("multiclass", ("background", "disc", "cup"), (1, 2))
    land = outputs_of(parse_classes("water=1,wood=2"))
    assert (land.num_channels, land.scored) == (2, (0, 1))
    both = outputs_of(parse_classes("disc,cup"))
    assert (both.task, both.num_channels, both.scored) == ("multilabel", 2, (0, 1))
    assert (BINARY.num_channels, BINARY.scored, BINARY.names) == (1, (1,), ("background", "foreground"))


OUTPUTS = [
    BINARY,
    Outputs(has_ignored=True),
    outputs_of(parse_classes(THREE)),
    outputs_of(parse_classes(THREE), has_ignored=True),
    outputs_of(parse_classes("disc,cup,rim"), has_ignored=True),
]


@pytest.mark.parametrize("outputs", OUTPUTS, ids=str)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 3))
def test_a_decided_mask_has_the_planes_of_its_probabilities(outputs, seed, images):
    prob = np.random.default_rng(seed).random((images, *outputs.prob_shape(4, 5)), np.float32)
    masks = outputs.decide(prob)
    assert masks.shape == (images, 4, 5)
    assert masks.dtype == outputs.mask_dtype
    planes = {number: outputs.plane(masks, number) for number in range(len(outputs.names))}
    for number, plane in planes.items():
        assert plane.dtype == np.bool_
        if outputs.task == "multiclass":
            assert (plane == (prob.argmax(axis=1) == number)).all()
        else:
            own = outputs.prob_of(prob, number)
            assert (plane == ((own >= 0.5) if outputs.task == "multilabel" or number else own > 0.5)).all()
    if outputs.task != "multilabel":
        assert (sum(planes.values()) == 1).all()


@pytest.mark.parametrize("outputs", [each for each in OUTPUTS if each.has_ignored], ids=str)
def test_an_ignored_pixel_has_no_class(outputs):
    ignored = int(IGNORED_BITS) | 1 if outputs.task == "multilabel" else IGNORED
    mask = np.array([[ignored, 1]], outputs.mask_dtype)
    assert outputs.valid(mask).tolist() == [[False, True]]
    assert not any(outputs.plane(mask, number)[0, 0] for number in range(len(outputs.names)))


def test_outputs_without_ignored_pixels_have_only_valid_ones():
    assert BINARY.valid(np.zeros((2, 2), np.bool_)) is None


def test_colours_come_again_after_the_last():
    assert rgb_of(0, is_background=True) == (0, 0, 0)
    assert len({rgb_of(i) for i in range(len(COLOURS))}) == len(COLOURS)
    assert rgb_of(len(COLOURS)) == rgb_of(0)
