"""The images that `predict` finds: all of a data set, and a line on every file of a folder that is none."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, make_folder, make_isic, make_ph2, save

from segstudy.api.models import images_of
from segstudy.core.errors import UserError


def found(*inputs: Path, match: str | None = None) -> tuple[list[str], list[str]]:
    """Names of the images, without suffix, and the lines on what was left out."""
    lines: list[str] = []
    return sorted(item.file.stem for item in images_of(inputs, match, lines.append)), lines


def test_images_without_a_mask_are_taken_too(tmp_path: Path) -> None:
    make_folder(tmp_path, ("a", "b", "c"))
    (tmp_path / "masks" / "b.png").unlink()
    assert found(tmp_path) == (["a", "b", "c"], [])


def test_a_subset_without_masks_is_taken_too(tmp_path: Path) -> None:
    for name in ("train", "val"):
        make_folder(tmp_path / name, (f"{name}1", f"{name}2"))
    save(tmp_path / "test" / "images" / "z.png", disc(0)[0])
    assert found(tmp_path)[0] == ["train1", "train2", "val1", "val2", "z"]


def test_a_data_set_without_any_mask_and_an_ambiguous_image_are_taken(tmp_path: Path) -> None:
    make_folder(tmp_path / "none", ("a",))
    (tmp_path / "none" / "masks" / "a.png").unlink()
    assert found(tmp_path / "none")[0] == ["a"]
    make_folder(tmp_path / "two", ("a", "b"))
    save(tmp_path / "two" / "masks" / "a_mask.png", disc(0)[1])
    assert found(tmp_path / "two")[0] == ["a", "b"]


def test_published_data_sets_give_all_photographs_and_nothing_else(tmp_path: Path) -> None:
    isic = make_isic(tmp_path / "isic", "2017")
    next((isic / "ISIC-2017_Test_v2_Part1_GroundTruth").iterdir()).unlink()
    assert len(found(isic)[0]) == 6
    ph2 = make_ph2(tmp_path / "ph2")
    (ph2 / "PH2 Dataset images" / "IMD002" / "IMD002_lesion" / "IMD002_lesion.bmp").unlink()
    assert found(ph2)[0] == ["IMD002", "IMD003", "IMD199", "IMD200"]


def test_images_that_an_annotation_tool_has_not_reached_are_taken(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", disc(0)[0])
    shape = {"label": "x", "shape_type": "polygon", "points": [[5, 5], [20, 5], [20, 20], [5, 20]]}
    labelled = {"version": "5", "imagePath": "a.png", "imageHeight": 24, "imageWidth": 32, "shapes": [shape]}
    (tmp_path / "a.json").write_text(json.dumps(labelled))
    assert found(tmp_path)[0] == ["a", "b"]


def test_files_of_a_data_set_that_are_no_images_are_named(tmp_path: Path) -> None:
    make_folder(tmp_path)
    np.save(tmp_path / "images" / "x.npy", disc(0)[0])
    names, lines = found(tmp_path)
    assert names == ["a", "b", "c"]
    (line,) = lines
    assert line.startswith(f"{tmp_path}: images/: 1 .npy file (x.npy): ")
    assert "NumPy array" in line


def test_files_of_a_folder_that_are_no_images_are_counted_by_suffix(tmp_path: Path) -> None:
    save(tmp_path / "a.png", disc(0)[0])
    save(tmp_path / "b.jpg", disc(1)[0]).rename(tmp_path / "b")
    for name in ("x.npy", "y.npy", "deep/z.mat", "none", ".hidden.dcm", "Thumbs.db", "._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x93NUMPY")
    names, (line,) = found(tmp_path)
    assert names == ["a", "b"]
    assert line.startswith(f"{tmp_path}: 4 files not read as images (.mat: 1, .npy: 2, without suffix: 1); ")


def test_what_a_pattern_leaves_out_is_no_loss(tmp_path: Path) -> None:
    save(tmp_path / "a.png", disc(0)[0])
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY")
    assert found(tmp_path, match="*.png") == (["a"], [])


def test_a_pattern_that_nothing_matches_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.bmp", disc(0)[0])
    with pytest.raises(UserError, match=r"no image has a path that matches --match '\*\.jpg'"):
        found(tmp_path, match="*.jpg")


@pytest.mark.parametrize("kind", ["masks", "overlay"])
def test_results_of_predict_are_no_images(tmp_path: Path, kind: str) -> None:
    save(tmp_path / "a.png", disc(0)[0])
    save(tmp_path / "out" / kind / "a.png", disc(0)[1])
    for name in ("predictions.json", "predictions.csv"):
        (tmp_path / "out" / name).write_text("{}")
    assert found(tmp_path) == (["a"], [])
