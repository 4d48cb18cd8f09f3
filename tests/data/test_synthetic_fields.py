"""The synthetic set of large images: many small objects, which are lost at the size of a usual network."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

import segstudy
from segstudy.core.classes import parse_classes
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.core.outputs import BINARY
from segstudy.core.synthetic import own_classes
from segstudy.data.datasets import read
from segstudy.data.datasets.synthetic_classes import CORE, DISC, ROD, Scene
from segstudy.data.datasets.synthetic_fields import draw
from segstudy.data.masks import read_mask
from segstudy.data.preprocess import decided_at_native, mask_to_network

NUM = 6


@cache
def fields(num_classes: int, size_px: int = 512) -> tuple[Scene, ...]:
    return tuple(draw(0, index, size_px, num_classes) for index in range(NUM))


def objects(mask: np.ndarray) -> np.ndarray:
    """Areas of connected foreground in pixels."""
    return cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]


def test_a_field_depends_on_seed_index_size_and_classes_alone() -> None:
    np.random.seed(1)  # global state must not matter
    again, first = draw(0, 3, 512, 3), fields(3)[3]
    assert np.array_equal(again.image, first.image)
    assert np.array_equal(again.mask, first.mask)
    assert not np.array_equal(draw(1, 3, 512, 3).image, first.image)
    assert first.image.shape == (512, 512, 3)


@pytest.mark.parametrize("size_px", [96, 300, 512])
def test_no_field_is_empty_and_objects_have_the_same_size_in_all(size_px: int) -> None:
    masks = [draw(0, index, size_px, 2).mask for index in range(8)]
    assert {(len(mask), *mask.shape) for mask in masks} == {(size_px, size_px, size_px)}
    assert all(mask.any() for mask in masks)
    areas = np.concatenate([objects(mask) for mask in masks])
    assert 80 < np.median(areas) < 200
    density = len(areas) / (8 * size_px**2)
    assert 1 / 20_000 < density < 1 / 3_000


@pytest.mark.parametrize("num_classes", [3, 4])
def test_all_classes_are_there(num_classes: int) -> None:
    for scene in fields(num_classes):
        assert {DISC, ROD} <= set(np.unique(scene.mask)) <= set(range(num_classes))
    assert any((scene.mask == CORE).any() for scene in fields(num_classes)) == (num_classes == 4)


def test_with_two_classes_discs_are_foreground_and_rods_are_not() -> None:
    for scene in fields(2):
        assert set(np.unique(scene.mask)) == {0, 1}
        assert 0.003 < scene.mask.mean() < 0.08


def test_most_objects_are_lost_where_the_picture_is_resized_to_an_eighth() -> None:
    mask = draw(0, 0, 1024, 2).mask.astype(bool)
    small = mask_to_network(mask, (128, 128), "squash", BINARY)
    back = decided_at_native(small.astype(np.float32), (1024, 1024), "squash", BINARY)
    assert (back & mask).sum() / (back | mask).sum() < 0.6


def test_colour_alone_does_not_tell_discs_from_the_rest() -> None:
    """The best threshold on any channel between discs and all other objects and spots errs in a tenth."""
    for channel in range(3):
        values = np.concatenate([scene.image[..., channel].ravel() for scene in fields(3)])
        masks = np.concatenate([scene.mask.ravel() for scene in fields(3)])
        errors = [
            ((values[masks == DISC] < cut).mean() + (values[masks == ROD] >= cut).mean()) / 2
            for cut in range(0, 256, 4)
        ]
        assert min(*errors, 1 - max(errors)) > 0.1


def test_the_set_is_read_and_cached_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    dataset = read("synthetic:size=100:n=2")
    assert dataset.root.name == "size100-classes2-n2-seed0-v1"
    assert dataset.class_names == ()
    assert [sample.id for sample in dataset.samples] == ["field-0000", "field-0001"]
    mask = read_mask(dataset.samples[0].mask, USUAL)
    np.testing.assert_array_equal(mask, draw(0, 0, 100, 2).mask.astype(bool))
    several = read("synthetic:classes=3:n=1:size=100")
    assert several.class_names == ((0, "background"), (1, "disc"), (2, "rod"))
    assert own_classes("synthetic:classes=3:size=100") == "background=0,disc=1,rod=2"
    assert len({sample.group for sample in dataset.samples}) == 2
    written = segstudy.synth(tmp_path / "own", n=2, size=100)
    names = [f.relative_to(dataset.root) for f in dataset.root.rglob("*") if f.is_file()]
    assert len(names) == 5
    assert all((written / name).read_bytes() == (dataset.root / name).read_bytes() for name in names)


def test_there_are_fewer_of_large_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    assert len(read("synthetic:size=96").samples) == 40


@pytest.mark.parametrize(
    "name", ["size=95", "size=4097", "size=0", "size=1.5", "size=100:n=0", "classes=3,size=512", "tile=64"]
)
def test_other_sizes_are_refused_with_the_choices(name: str) -> None:
    with pytest.raises(UserError, match=r"size \(96 to 4096\)"):
        read(f"synthetic:{name}")


def test_masks_of_several_classes_hold_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    (sample,) = read("synthetic:classes=3:n=1:size=100").samples
    meaning = MaskMeaning(classes=parse_classes("background=0,disc=1,rod=2"))
    np.testing.assert_array_equal(read_mask(sample.mask, meaning), draw(0, 0, 100, 3).mask)
