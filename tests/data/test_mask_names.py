"""Which masks belong to an image: the first mask, further ones, and those of nobody."""

from pathlib import Path

import numpy as np
import pytest
from fake_data import save

from segstudy.core.errors import UserError
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.masks import read_mask
from segstudy.data.samples import Dataset
from segstudy.data.sources import Merged, files_of

SIZE = (16, 20)


def data(root: Path, images: str, masks: str) -> Path:
    """Images and masks of these names; mask number i has one row of foreground, row i."""
    for name in images.split(";"):
        save(root / "images" / f"{name}.png", np.full((*SIZE, 3), 90, np.uint8))
    for i, name in enumerate(masks.split(";")):
        mask = np.zeros(SIZE, bool)
        mask[i] = True
        save(root / "masks" / f"{name}.png", mask)
    return root


def names(dataset: Dataset) -> dict[str, list[str]]:
    folder = dataset.root / "masks"
    return {
        sample.id: [file.relative_to(folder).with_suffix("").as_posix() for file in files_of(sample.mask)]
        for sample in dataset.samples
    }


@pytest.mark.parametrize(
    "masks",
    [
        *("x_mask;x_mask_1", "x_mask;x_mask_2;x_mask_3", "x;x_mask_1", "x_mask1;x_mask2", "x;x (2)", "x;x_1"),
        *("x_mask;x_mask (2)", "x_segmentation;x_segmentation-1", "x_1;x_2", "x/1;x/2;x/3", "x/a;x/b"),
        *("x_1_mask;x_2_mask", "x_Mask;x_MASK_1"),
    ],
)
def test_masks_of_one_image_are_merged(tmp_path: Path, masks: str) -> None:
    dataset = read(data(tmp_path, "x", masks))
    (sample,) = dataset.samples
    assert isinstance(sample.mask, Merged)
    assert sorted(names(dataset)["x"]) == sorted(masks.split(";"))
    assert read_mask(sample.mask).sum() == len(masks.split(";")) * SIZE[1]
    (note,) = dataset.problems
    assert (note.severity, note.kind) == ("note", "masks merged")
    assert f"1 image with several masks, {len(masks.split(';'))} files in all" in note.detail


@pytest.mark.parametrize("mask", ["x", "x_mask", "x_segmentation", "x_mask_1", "x/1", "x.png"])
def test_one_mask_is_the_file_itself(tmp_path: Path, mask: str) -> None:
    dataset = read(data(tmp_path, "x", mask))
    assert names(dataset) == {"x": [mask]}
    assert isinstance(dataset.samples[0].mask, Path)
    assert dataset.problems == ()


@pytest.mark.parametrize("masks", ["x;x_mask", "x_mask;x_segmentation", "x_mask_1;x_1", "x;x/1"])
def test_masks_of_which_any_may_be_meant_are_an_error(tmp_path: Path, masks: str) -> None:
    dataset = read(data(tmp_path, "x;y", f"{masks};y"))
    assert list(names(dataset)) == ["y"]
    (error,) = (each for each in dataset.problems if each.severity == "error")
    assert error.kind == "two masks for one image"
    assert all(f"masks/{name}.png" in error.where for name in masks.split(";"))
    assert dataset.without_mask == (tmp_path / "images" / "x.png",)


def test_a_number_that_may_be_an_image_s_is_an_error(tmp_path: Path) -> None:
    """x_mask_1 may be the mask of x, or that of x_1."""
    dataset = read(data(tmp_path, "x;x_1;y", "x_mask;x_mask_1;y"))
    (error,) = (each for each in dataset.problems if each.severity == "error")
    assert (error.kind, error.where) == ("unclear mask", "masks/x_mask_1.png")
    assert "image x, or the mask of an image x_1" in error.detail
    assert list(names(dataset)) == ["y"]


def test_masks_of_a_numbered_series_are_never_merged_with_a_neighbour_s(tmp_path: Path) -> None:
    dataset = read(data(tmp_path, "x;x_1;x_2", "x;x_1;x_2;x_3"))
    assert names(dataset) == {"x": ["x"], "x_1": ["x_1"], "x_2": ["x_2"]}
    (warning,) = dataset.problems
    assert (warning.severity, warning.where) == ("warning", "masks/x_3.png")


@pytest.mark.parametrize("mask", ["x_left", "x (copy)", "x_lesion2", "x_1"])
def test_a_mask_that_begins_like_an_image_says_so(tmp_path: Path, mask: str) -> None:
    dataset = read(data(tmp_path, "x;x_2" if mask == "x_1" else "x", f"x;{mask}" + ";x_2" * (mask == "x_1")))
    (warning,) = dataset.problems
    assert (warning.severity, warning.where) == ("warning", f"masks/{mask}.png")
    assert "if it is a further mask of image x, rename it to x_mask_2" in warning.detail


def test_masks_of_patients_in_their_folders(tmp_path: Path) -> None:
    dataset = read(data(tmp_path, "p1/x;p2/x", "p1/x;p2/x_mask;p2/x_mask_1"))
    assert names(dataset) == {"p1/x": ["p1/x"], "p2/x": ["p2/x_mask", "p2/x_mask_1"]}


def test_merged_masks_of_different_sizes_are_an_error_of_their_sample(tmp_path: Path) -> None:
    data(tmp_path, "x;y", "x_mask;x_mask_1;y")
    save(tmp_path / "masks" / "x_mask_1.png", np.ones((16, 21), bool))
    (error,) = (each for each in check(read(tmp_path)) if each.severity == "error")
    assert error.where == "masks/x_mask_1.png"
    assert "differs in size from x_mask.png" in error.detail


def test_a_mask_that_lies_in_another_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"images/p1/x\.png: no mask of that name.*masks/x\.png"):
        read(data(tmp_path, "p1/x", "x"))


def test_masks_of_two_experts_are_warned_of(tmp_path: Path) -> None:
    data(tmp_path, "x;y", "x_mask;x_mask_1;y_mask;y_mask_1")
    mask = np.zeros(SIZE, bool)
    for name, rows in (("x_mask", 8), ("x_mask_1", 7)):
        mask[:rows] = True
        save(tmp_path / "masks" / f"{name}.png", mask)
        mask[:] = False
    (warning,) = (each for each in check(read(tmp_path)) if each.kind == "overlapping masks")
    assert (warning.severity, warning.where) == ("warning", "masks/x_mask.png")
    assert "x_mask.png and x_mask_1.png show nearly the same" in warning.detail
