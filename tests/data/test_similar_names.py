"""Masks under names that no image has, and folders that may hold the masks too: paired if it is clear."""

from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save

from segstudy.core.errors import UserError
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.datasets.similar_names import paired_by_similar_names


def files(*names: str) -> dict[str, list[Path]]:
    return {name: [Path(f"{name}.png")] for name in names}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("A1 A2 B1", "a1 a2 b1"),
        ("img_001 img_002 img_010", "mask_1 mask_2 mask_10"),
        ("um_01 um_02 um_03", "um_road_01 um_road_02 um_road_03"),
        ("a_rgb b_rgb c_rgb", "a_L b_L c_L"),
        ("top_2_10_RGB top_2_11_RGB top_2_12_RGB", "top_2_10_lab top_2_11_lab top_2_12_lab"),
        ("a b c", "trimaps/a trimaps/b trimaps/c"),
    ],
)
def test_names_that_become_the_same_are_paired(images: str, masks: str):
    found = paired_by_similar_names(files(*images.split()), files(*masks.split()))
    assert found is not None
    pairs = zip(images.split(), masks.split(), strict=True)
    assert found[0] == {image: [Path(f"{mask}.png")] for image, mask in pairs}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("a b", "a_L b_L"),  # too few
        ("p1_s3 p2_s3 p3_s3", "p1_s4 p2_s4 p3_s4"),  # another slice of each patient
        ("a_1 b_1 c_1", "a_2 b_2 c_2"),
        ("a b c d", "x_L y_L a_L b_L"),
        ("a A b c", "A1 b1 c1"),
        ("1 01 2 3", "1_m 2_m 3_m 4_m"),
    ],
)
def test_names_that_may_mean_something_else_are_not_paired(images: str, masks: str):
    assert paired_by_similar_names(files(*images.split()), files(*masks.split())) is None


def written(root: Path, *folders: str) -> Path:
    for i, name in enumerate("abcd"):
        image, mask = disc(i, (24, 32))
        save(root / "images" / f"{name}.png", image)
        for folder in folders:
            save(root / folder / f"{name}.png", mask)
    return root


def test_a_folder_that_may_hold_the_masks_too_is_named(tmp_path: Path):
    (error,) = read(written(tmp_path / "two", "labels", "vessel_masks")).problems
    assert (error.severity, error.kind, error.where) == ("error", "folder not used", "vessel_masks/")
    assert (
        "but the masks are read from labels/; rename the folder that holds the masks to masks/"
        in error.detail
    )
    (warning,) = read(written(tmp_path / "usual", "masks", "gt_old")).problems
    assert (warning.severity, warning.where) == ("warning", "gt_old/")
    assert read(written(tmp_path / "other", "masks", "overlays")).problems == ()


def test_fields_of_view_are_not_taken_for_the_masks(tmp_path: Path):
    dataset = read(written(tmp_path, "mask", "manual1", "2nd_manual"))
    assert {sample.mask.parent.name for sample in dataset.samples} == {"manual1"}
    assert [(each.severity, each.where) for each in dataset.problems] == [
        ("note", "2nd_manual/"),
        ("note", "mask/"),
    ]


def test_several_folders_that_may_be_the_images_are_not_read(tmp_path: Path):
    root = written(tmp_path, "lesion_segmentations")
    save(root / "part_2" / "e.png", disc(5, (24, 32))[0])
    with pytest.raises(UserError):
        read(root)


def test_1_and_255_in_different_masks_are_said_to_be_foreground_both(tmp_path: Path):
    root = written(tmp_path, "masks")
    for name, value in zip("abcd", (1, 1, 255, 255), strict=True):
        save(root / "masks" / f"{name}.png", disc(1, (24, 32))[1].astype(np.uint8) * np.uint8(value))
    (warning,) = [each for each in check(read(root)) if each.kind == "masks of several scales"]
    assert "2 hold 1 and 2 hold 255, and all of these count as foreground" in warning.detail
    assert "choose --foreground 1" in warning.detail


def test_a_colour_on_white_is_refused_with_the_choices(tmp_path: Path):
    root = written(tmp_path, "masks")
    for i, name in enumerate("abcd"):
        colour = np.where(disc(i, (24, 32))[1][..., None], (0, 0, 255), 255).astype(np.uint8)
        save(root / "masks" / f"{name}.png", colour)
    error = next(each for each in check(read(root)) if each.severity == "error")
    assert "two colours, #0000ff and #ffffff, and white may be the background" in error.detail
    assert "choose --masks 'background=#0000ff'; or --masks 'background=#ffffff'" in error.detail
