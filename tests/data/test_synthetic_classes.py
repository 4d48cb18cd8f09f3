"""The synthetic set of several classes: what its pictures are, and that its classes need not be named."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import segstudy
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, MaskMeaning
from segstudy.core.synthetic import NAMES, own_classes
from segstudy.data.datasets import read
from segstudy.data.datasets.synthetic_classes import CORE, DISC, ROD, Scene, draw
from segstudy.data.survey import survey, with_own_classes
from segstudy.study.options import described

NUM = 24


@cache
def scenes(num_classes: int) -> tuple[Scene, ...]:
    return tuple(draw(0, index, num_classes) for index in range(NUM))


def test_a_scene_depends_on_seed_index_and_classes_alone() -> None:
    np.random.seed(1)  # global state must not matter
    again, first = draw(0, 3, 3), scenes(3)[3]
    assert np.array_equal(again.image, first.image)
    assert np.array_equal(again.mask, first.mask)
    assert not np.array_equal(draw(1, 3, 3).image[:100, :100], first.image[:100, :100])


@pytest.mark.parametrize("num_classes", [3, 4])
def test_all_classes_are_there_and_some_pictures_lack_one(num_classes: int) -> None:
    found = [set(np.unique(scene.mask)) for scene in scenes(num_classes)]
    assert set().union(*found) == set(range(num_classes))
    for number in (DISC, ROD):
        assert np.mean([number in each for each in found]) > 0.5
    assert any(not {DISC, ROD} <= each for each in found)
    shares = np.mean([np.bincount(s.mask.ravel(), minlength=4) / s.mask.size for s in scenes(num_classes)], 0)
    assert 0.6 < shares[0] < 0.95
    assert all(0.005 < share < 0.3 for share in shares[1:num_classes])


def test_cores_lie_in_discs_and_rods_in_some() -> None:
    beside = [_neighbours(scene.mask, CORE) for scene in scenes(4) if (scene.mask == CORE).any()]
    assert sum(each[DISC] for each in beside) > 20 * sum(each[0] for each in beside)
    nested = [_neighbours(scene.mask, ROD)[DISC] > 60 for scene in scenes(3)]
    assert 0 < sum(nested) < NUM


def _neighbours(mask: np.ndarray, number: int) -> np.ndarray:
    """How many right and lower neighbours of a class are of each other class, those before it included."""
    beside, below = (mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])
    pairs = np.concatenate([[one.ravel(), other.ravel()] for one, other in (beside, below)], axis=1)
    of_class = pairs[:, (pairs == number).any(0)]
    return np.bincount(np.where(of_class[0] == number, of_class[1], of_class[0]), minlength=4)


def test_colour_alone_does_not_tell_discs_from_rods() -> None:
    """The best threshold on any channel between pixels of the two classes errs in more than a tenth."""
    for channel in range(3):
        colours = [(scene.image[..., channel], scene.mask) for scene in scenes(3)]
        discs, rods = (np.concatenate([c[mask == k] for c, mask in colours]) for k in (DISC, ROD))
        errors = [((discs < cut).mean() + (rods >= cut).mean()) / 2 for cut in range(0, 256, 4)]
        assert min(*errors, 1 - max(errors)) > 0.1


def test_the_set_is_read_with_names_and_cached_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    dataset = read("synthetic:n=3:classes=3")
    assert dataset.class_names == ((0, "background"), (1, "disc"), (2, "rod"))
    assert dataset.root.name == "classes3-n3-seed0-v1"
    assert [sample.id for sample in dataset.samples] == ["scene-0000", "scene-0001", "scene-0002"]
    assert read("synthetic:n=2").root.name == "n2-seed0-v1"
    files = {f.relative_to(dataset.root): f.read_bytes() for f in dataset.root.rglob("*") if f.is_file()}
    written = segstudy.synth(tmp_path / "own", n=3, classes=3)
    assert files == {f.relative_to(written): f.read_bytes() for f in written.rglob("*") if f.is_file()}


@pytest.mark.parametrize("option", ["classes=1", "classes=5", "classes=x", "k=3"])
def test_other_numbers_of_classes_are_refused(option: str) -> None:
    text = f"synthetic:{option}"
    with pytest.raises(UserError, match=r"classes \(2 to 4\)"):
        read(text)
    assert own_classes(text) is None


def test_its_classes_need_not_be_named() -> None:
    own = "background=0,disc=1,rod=2"
    assert described("synthetic:n=8:classes=3", {})[0].protocol.classes == own
    assert own_classes("synthetic:classes=4") == f"{own},core=3"
    assert described("synthetic:n=8", {})[0].protocol.classes is None
    assert described("synthetic:classes=3", {"foreground": 1})[0].protocol.classes is None
    assert described("synthetic:classes=3", {"masks": "background=0"})[0].protocol.classes is None
    other = described("synthetic:classes=3", {"classes": "none=0,any=1+2"})[0]
    assert other.protocol.classes == "none=0,any=1+2"
    assert len(with_own_classes(AUTO, "synthetic:classes=3").classes) == 3
    assert with_own_classes(MaskMeaning(AUTO.rule, (1,)), "synthetic:classes=3").classes == ()
    found = survey("synthetic:n=6:classes=3")
    assert not found.has_errors()
    assert [share.name for share in found.class_shares] == list(NAMES[:3])
