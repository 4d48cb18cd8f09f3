"""A folder that is nearly a data set gets its own remedy, not a wall of layouts."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from PIL import Image
from small import write_dataset

import segstudy
from segstudy.data import datasets as readers
from segstudy.data.datasets import read, two_folders


def refusal(path: Path, reader: str | None = None) -> str:
    with pytest.raises(segstudy.UserError) as raised:
        read(path, reader)
    text = str(raised.value)
    assert "known layout" not in text
    assert text.startswith(str(path))
    return text


@pytest.fixture
def discs(tmp_path) -> Path:
    return write_dataset(tmp_path / "discs", n=4)


def test_masks_that_are_missing(discs):
    shutil.rmtree(discs / "masks")
    text = refusal(discs)
    assert "masks/ is missing" in text
    assert "put a mask of each image's name" in text


def test_images_that_are_missing(discs):
    shutil.rmtree(discs / "images")
    assert "images/ is missing" in refusal(discs)


@pytest.mark.parametrize("name", ["labels", "Mask", "mask", "GT", "SegmentationClass"])
def test_masks_under_another_name_that_is_usual_are_read(discs, name):
    (discs / "masks").rename(discs / name)
    assert len(read(discs).samples) == 4


def test_both_under_other_usual_names_are_read(discs):
    (discs / "masks").rename(discs / "gt")
    (discs / "images").rename(discs / "imgs")
    assert len(read(discs).samples) == 4


def test_two_folders_that_may_both_hold_the_masks(discs):
    shutil.copytree(discs / "masks", discs / "labels")
    (discs / "masks").rename(discs / "gt")
    assert "gt/ and labels/ may both hold its masks; rename the one that does to masks/" in refusal(discs)


def test_masks_under_another_name_that_hold_no_images(discs):
    shutil.rmtree(discs / "masks")
    (discs / "labels").mkdir()
    assert "labels/ holds no image files that are read; put a mask of each" in refusal(discs)


def test_masks_under_a_name_that_nobody_knows(discs):
    (discs / "masks").rename(discs / "anna")
    assert "anna/; rename that to masks/ if it holds the masks" in refusal(discs)


@pytest.mark.parametrize("inner", ["images", "masks"])
def test_a_folder_a_level_too_deep(discs, inner):
    assert f"too deep; give the folder {discs}" in refusal(discs / inner)


def test_a_folder_two_levels_too_deep_leads_to_all_parts(tmp_path):
    write_dataset(tmp_path / "set" / "train", n=4)
    write_dataset(tmp_path / "set" / "test", n=4)
    assert refusal(tmp_path / "set" / "train" / "images").endswith(f"give the folder {tmp_path / 'set'}")


@pytest.mark.slow
def test_a_folder_above_a_data_set_and_above_several(tmp_path):
    write_dataset(tmp_path / "top" / "mine", n=4)
    assert f"above a data set; give the folder {tmp_path / 'top' / 'mine'}" in refusal(tmp_path / "top")
    write_dataset(tmp_path / "top" / "yours", n=4)
    text = refusal(tmp_path / "top")
    assert "above 2 data sets" in text
    assert str(tmp_path / "top" / "yours") in text
    (tmp_path / "over").mkdir()
    (tmp_path / "top").rename(tmp_path / "over" / "top")
    assert "above 2 data sets" in refusal(tmp_path / "over")


def test_images_in_one_heap(discs):
    for file in (discs / "images").iterdir():
        file.rename(discs / file.name)
    for kind in ("images", "masks"):
        shutil.rmtree(discs / kind)
    assert "holds 4 image files itself" in refusal(discs)


def test_half_of_isic(tmp_path):
    (tmp_path / "isic" / "ISIC-2017_Training_Data").mkdir(parents=True)
    assert "ISIC-2017_Training_Data, but no folder of masks" in refusal(tmp_path / "isic")


def test_a_reader_that_is_named_gets_the_same_help(discs):
    assert "it fits reader folder" in refusal(discs, "ph2")
    assert f"give the folder {discs}" in refusal(discs / "images", "folder")


def exchange(folder: Path) -> Path:
    (folder / "images").rename(folder / "aside")
    (folder / "masks").rename(folder / "images")
    (folder / "aside").rename(folder / "masks")
    return folder


@pytest.mark.parametrize("grey", [False, True])
def test_images_and_masks_that_are_exchanged_are_recognised(tmp_path, grey):
    data = write_dataset(tmp_path / "discs", n=12)
    if grey:
        for file in (data / "images").iterdir():
            Image.open(file).convert("L").save(file)
    assert not [each for each in segstudy.check(data) if each.severity == "error"]
    exchange(data)
    first = segstudy.check(data)[0]
    assert (first.severity, first.kind) == ("error", "images and masks exchanged")
    with pytest.raises(segstudy.UserError, match="black and white and the masks are photographs"):
        segstudy.plan(data, architecture="unet", loss="bce")


def test_masks_that_are_wrong_in_another_way_are_not_called_exchanged(tmp_path):
    data = write_dataset(tmp_path / "discs", n=12)
    for file in (data / "masks").iterdir():
        with Image.open(file) as mask:
            width, height = mask.size
        noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
        Image.fromarray(noise).save(file)
    kinds = {each.kind for each in segstudy.check(data)}
    assert "images and masks exchanged" not in kinds
    assert any(re.search("mask", kind) for kind in kinds)


def test_one_exchanged_pair_does_not_make_a_set(tmp_path):
    data = write_dataset(tmp_path / "discs", n=12)
    image, mask = data / "images" / "disc00.png", data / "masks" / "disc00.png"
    image.rename(data / "aside.png")
    mask.rename(image)
    (data / "aside.png").rename(mask)
    assert "images and masks exchanged" not in {each.kind for each in segstudy.check(data)}


# Scattered over several folders, as published


def images_and_masks(root: Path, images: dict[str, list[str]], masks: dict[str, list[str]]) -> Path:
    for kind, folders in enumerate((images, masks)):
        for folder, names in folders.items():
            for i, name in enumerate(names):
                save(root / folder / name, disc(i)[kind])
    return root


NUMBERS = range(1, 5)
SCATTERED = {
    "STARE, two persons": (
        {"stare-images": [f"im000{i}.ppm" for i in NUMBERS]},
        {f"labels-{who}": [f"im000{i}.{who}.ppm" for i in NUMBERS] for who in ("ah", "vk")},
        "the masks of an image lie in several folders (labels-ah/, labels-vk/), and one mask of each",
    ),
    "IDRiD, lesions of several kinds": (
        {
            f"1. Original Images/{part}": [f"IDRiD_{start + i}.jpg" for i in NUMBERS]
            for part, start in (("a. Training Set", 10), ("b. Testing Set", 50))
        },
        {
            f"2. All Segmentation Groundtruths/{part}/{kind}": [
                f"IDRiD_{start + i}_{end}.tif" for i in NUMBERS
            ]
            for part, start in (("a. Training Set", 10), ("b. Testing Set", 50))
            for kind, end in (("1. Microaneurysms", "MA"), ("3. Hard Exudates", "EX"))
        },
        "2. All Segmentation Groundtruths/a. Training Set/1. Microaneurysms/",
    ),
    "HAM10000, images in parts": (
        {f"HAM10000_images_part_{n}": [f"ISIC_00{2 * i + n}.jpg" for i in NUMBERS] for n in (1, 2)},
        {
            "HAM10000_segmentations_lesion_tschandl": [
                f"ISIC_00{2 * i + n}_segmentation.png" for i in NUMBERS for n in (1, 2)
            ]
        },
        "lie in several (HAM10000_images_part_1/, HAM10000_images_part_2/); put the images into images/",
    ),
}


@pytest.mark.parametrize("name", SCATTERED)
def test_what_is_scattered_over_several_folders_is_named(tmp_path, name):
    images, masks, said = SCATTERED[name]
    assert said in refusal(images_and_masks(tmp_path / "set", images, masks))


def test_a_layout_known_by_a_word_gives_way_to_any_other(tmp_path, monkeypatch):
    """A plug-in's, say, for which the folder was made."""
    names = [f"{i}.png" for i in NUMBERS]
    root = images_and_masks(tmp_path / "set", {"scans": names}, {"scan_labels_v2": names})
    assert read(root).reader == "two_folders"
    tiny = readers.Reader("tiny", lambda path: (path / "scans").is_dir(), two_folders.read, "scans/")
    monkeypatch.setattr(readers, "_all", lambda: {**readers.READERS, "tiny": tiny})
    assert readers._choose(root, None).name == "tiny"
    (root / "scans").rename(root / "images")
    (root / "scan_labels_v2").rename(root / "labels")
    always = replace(tiny, detect=lambda _: True)
    monkeypatch.setattr(readers, "_all", lambda: {**readers.READERS, "tiny": always})
    assert "fits several readers, two_folders, tiny; choose one" in refusal(root)
