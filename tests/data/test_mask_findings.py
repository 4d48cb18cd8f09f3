"""Findings about the masks of a data set together: most of them inverted, empty or full."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from layout_writers import WRITERS

from segstudy.core.mask_rules import AUTO, MaskMeaning, parse
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.samples import Problem

MASK = disc(0)[1]
KINDS = {"as it is": MASK, "inverted": ~MASK, "empty": np.zeros_like(MASK), "full": np.ones_like(MASK)}


def write(root: Path, **numbers: int) -> Path:
    kinds = [kind for name, number in numbers.items() for kind in [name.replace("_", " ")] * number]
    for i, kind in enumerate(kinds):
        save(root / "images" / f"{i:02}.png", disc(i)[0])
        save(root / "masks" / f"{i:02}.png", KINDS[kind])
    return root


def of_all(root: Path, meaning: MaskMeaning = AUTO) -> list[Problem]:
    """Findings about the whole set."""
    return [problem for problem in check(read(root), meaning) if problem.where == root.name]


@pytest.mark.parametrize(
    ("num_inverted", "num_right", "remedy"),
    [
        (15, 1, "choose --masks inverted"),
        (16, 0, "choose --masks inverted"),
        (9, 7, "save all masks alike"),
        (3, 0, "choose --masks inverted"),
        (4, 1, "choose --masks inverted"),
    ],
)
def test_more_than_half_of_the_masks_inverted_are_an_error_that_says_how_many(
    tmp_path: Path, num_inverted: int, num_right: int, remedy: str
) -> None:
    root = write(tmp_path / "set", inverted=num_inverted, as_it_is=num_right)
    [problem] = of_all(root)
    assert (problem.severity, problem.kind) == ("error", "masks inverted")
    assert f"{num_inverted} of {num_inverted + num_right} masks" in problem.detail
    assert remedy in problem.detail
    given = MaskMeaning(parse("larger"))
    assert not [each for each in of_all(root, given) if each.severity == "error"], "somebody says it is right"


@pytest.mark.parametrize(("num_inverted", "num_right"), [(2, 0), (8, 8), (1, 9)])
def test_half_of_the_masks_or_two_are_warned_of_one_by_one(
    tmp_path: Path, num_inverted: int, num_right: int
) -> None:
    root = write(tmp_path / "set", inverted=num_inverted, as_it_is=num_right)
    assert of_all(root) == []
    suspected = [each for each in check(read(root)) if each.kind == "inverted mask suspected"]
    assert len(suspected) == num_inverted


def test_empty_masks_do_not_hide_that_the_others_are_inverted(tmp_path: Path) -> None:
    root = write(tmp_path / "set", inverted=4, empty=12)
    assert {(each.severity, each.kind) for each in of_all(root)} == {
        ("error", "masks inverted"),
        ("warning", "most masks empty"),
    }


@pytest.mark.parametrize(
    ("lacking", "kind", "share"),
    [
        ("empty", "most masks empty", "18 of 24 masks (75 %) have no foreground"),
        ("full", "most masks full", "18 of 24 masks (75 %) have no background"),
    ],
)
def test_most_masks_empty_or_full_are_a_warning_that_says_their_share(
    tmp_path: Path, lacking: str, kind: str, share: str
) -> None:
    [problem] = of_all(write(tmp_path / "set", **{lacking: 18, "as_it_is": 6}))
    assert (problem.severity, problem.kind) == ("warning", kind)
    assert share in problem.detail
    assert of_all(write(tmp_path / "half", **{lacking: 6, "as_it_is": 6})) == []


def test_a_set_without_any_foreground_is_an_error_and_nothing_else_is_said_of_it(tmp_path: Path) -> None:
    [problem] = of_all(write(tmp_path / "set", empty=6))
    assert problem.severity == "error"
    assert problem.kind in ("no foreground", "foreground nowhere")
    [problem] = of_all(write(tmp_path / "other", full=6))
    assert (problem.severity, problem.kind) == ("warning", "most masks full")


def test_of_masks_that_one_file_describes_the_finding_names_the_sample(tmp_path: Path) -> None:
    pairs = {f"p{i}": disc(i) for i in range(4)}
    pairs["p2"] = pairs["p2"][0], np.zeros_like(MASK)
    WRITERS["COCO, polygons"][1](tmp_path, pairs)
    [problem] = check(read(tmp_path))
    assert problem.kind == "empty mask"
    assert problem.where.startswith("p2 (")
    assert problem.where.endswith(".json)")


def crossed(seed: int) -> np.ndarray:
    """A large object that the border crosses, so that its complement is not all around."""
    y, x = np.mgrid[:48, :64]
    centre = np.random.default_rng(seed).uniform(8, 20, 2)
    return np.hypot(y - centre[0], x - centre[1]) < 24


def spotted(seed: int) -> np.ndarray:
    """Small objects everywhere, on the border too."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.random((12, 16)) < 0.3, np.ones((4, 4), bool))


@pytest.mark.parametrize(
    ("draw", "inverted", "warned"),
    [(crossed, True, True), (crossed, False, False), (spotted, True, False), (spotted, False, False)],
)
def test_inverted_masks_of_objects_that_the_border_crosses_are_suspected_all_together(
    tmp_path: Path, draw: Callable[[int], np.ndarray], inverted: bool, warned: bool
) -> None:
    root = tmp_path / "set"
    for i in range(8):
        save(root / "images" / f"{i}.png", disc(i, (48, 64))[0])
        save(root / "masks" / f"{i}.png", draw(i) != inverted)
    found = [(each.severity, each.kind) for each in of_all(root)]
    assert found == ([("warning", "masks perhaps inverted")] if warned else [])
    given = MaskMeaning(parse("larger"))
    assert of_all(root, given) == [], "somebody says it is right"
