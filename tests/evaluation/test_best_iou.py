"""The best IoU that an image size allows, against an independent way to compute it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_data import save
from numpy.typing import NDArray

from segstudy.core.classes import parse_classes
from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.data.datasets import read
from segstudy.evaluation import best_iou as module
from segstudy.evaluation.best_iou import best_iou, best_iou_text, default_size_text, is_low
from segstudy.store.records import BestIou

SIDE = 64  # of every image; a network of 32 px then sees boxes of 2 x 2


def write(root: Path, masks: list[NDArray[np.bool_]]) -> Path:
    for i, mask in enumerate(masks):
        save(root / "images" / f"{i:03}.png", np.full((*mask.shape, 3), 90, np.uint8))
        save(root / "masks" / f"{i:03}.png", mask)
    return root


def blobs(number: int) -> list[NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    places = rng.uniform(10, 54, (number, 2))
    return [
        np.hypot(y - cy, x - cx) < radius
        for (cy, cx), radius in zip(places, rng.uniform(1, 9, number), strict=True)
    ]


def spots(side: int, radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[:side, :side]
    return np.hypot(y % 64 - 21, x % 64 - 37) < radius


def measured(root: Path, size: int = 32) -> "module.BestIou":
    return best_iou(read(root).samples, str(root), (size, size), "squash", USUAL)


def doubled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear, from 32 to 64 rows and columns, by linear interpolation between the centres of pixels."""
    centres = (np.arange(SIDE) + 0.5) / 2 - 0.5
    rows = np.stack([np.interp(centres, np.arange(32), column) for column in values.T], axis=1)
    return np.stack([np.interp(centres, np.arange(32), row) for row in rows])


def test_it_is_the_mean_iou_of_masks_that_went_to_the_networks_size_and_back(tmp_path: Path) -> None:
    masks = blobs(12)
    ious = []
    for mask in masks:
        small = mask.reshape(32, 2, 32, 2).mean(axis=(1, 3)) >= 0.5
        back = doubled(small.astype(float)) >= 0.5
        ious.append((back & mask).sum() / (back | mask).sum())
    found = measured(write(tmp_path, masks))
    assert found.mean == pytest.approx(np.mean(ious), abs=1e-6)
    assert 0.5 < found.mean < 0.99
    assert (found.num_measured, found.num_images, found.num_vanished) == (12, 12, 0)


def test_at_the_images_own_size_nothing_is_lost(tmp_path: Path) -> None:
    found = measured(write(tmp_path, blobs(5)), SIDE)
    assert found.mean == 1
    assert not is_low(found)
    assert "the best IoU to expect is 1.000" in best_iou_text(found)
    assert "--image-size" not in best_iou_text(found)


def test_spots_that_vanish_are_counted_and_empty_masks_are_none_of_them(tmp_path: Path) -> None:
    """Of 9 px spots some are left at 1/8 of the size, of 3 px spots none; a mask without spots counts 1."""
    masks = [spots(512, 4.5), spots(512, 1.5), spots(512, 1.5), np.zeros((512, 512), bool)]
    found = measured(write(tmp_path, masks), 64)
    assert (found.num_with_foreground, found.num_vanished) == (3, 2)
    assert 1 / 4 < found.mean < 1 / 2
    assert is_low(found)
    text = best_iou_text(found)
    assert f"at 64 x 64 px the best IoU to expect is {found.mean:.3f} (true masks of 4 test images" in text
    assert "2 of 3 true masks vanish there" in text
    assert text.endswith(
        "a larger --image-size allows more, and --resize tiles keeps the images' own resolution"
    )


def test_objects_that_vanish_beside_others_are_counted(tmp_path: Path) -> None:
    """A large square, which stays, hides in the mean IoU that all nine spots beside it are lost."""
    mask = np.zeros((512, 512), bool)
    mask[100:400, 100:400] = True
    for i in range(9):
        mask[20:25, 10 + 50 * i : 15 + 50 * i] = True  # 5 px
    mask[450, 450] = True  # a speck, no object
    found = measured(write(tmp_path, [mask]), 64)
    assert found.mean > 0.9
    assert (found.num_vanished, found.num_objects, found.num_objects_vanished) == (0, 10, 9)
    assert "9 of 10 objects (connected areas of foreground) vanish there" in best_iou_text(found)
    assert is_low(found)


def test_of_many_or_large_images_some_are_measured_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path, blobs(12))
    monkeypatch.setattr(module, "FEWEST", 2)
    monkeypatch.setattr(module, "MAX_PIXELS", 4.5 * SIDE**2)
    found = measured(root)
    assert (found.num_measured, found.num_images) == (4, 12)
    assert "true masks of 4 of 12 test images" in best_iou_text(found)
    monkeypatch.setattr(module, "MAX_PIXELS", 1)
    assert measured(root).num_measured == 2, "however large they are"
    monkeypatch.setattr(module, "MAX_PIXELS", 10**9)
    monkeypatch.setattr(module, "MOST", 5)
    assert measured(root).num_measured == 5


def test_it_is_measured_once_and_a_cache_that_cannot_be_used_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SEGSTUDY_CACHE", str(cache))
    root = write(tmp_path / "set", blobs(4))
    first = measured(root)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_measured", lambda *_: pytest.fail("measured a second time"))
        assert measured(root) == first
    (kept,) = cache.glob("best-iou/*.json")
    kept.write_text("{}", encoding="utf-8")
    assert measured(root) == first, "what is damaged is measured again"
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "file"))
    assert measured(root) == first


def test_several_classes_are_measured_one_by_one(tmp_path: Path) -> None:
    """A wide class, and one that vanishes at 8 px in all images but one."""
    masks = [np.kron(np.eye(2, dtype=np.uint8), np.ones((32, 32), np.uint8)) for _ in range(4)]
    for mask in masks[1:]:
        mask[10:12, 50:52] = 2
    masks[0][8:24, 40:56] = 2
    for i, mask in enumerate(masks):
        save(tmp_path / "images" / f"{i}.png", np.full((SIDE, SIDE, 3), 90, np.uint8))
        save(tmp_path / "masks" / f"{i}.png", mask)
    meaning = MaskMeaning(classes=parse_classes("background=0,wide=1,small=2"))
    found = best_iou(read(tmp_path).samples, "data", (8, 8), "squash", meaning)
    assert found.classes is not None
    assert found.classes["wide"] > 0.9
    assert found.classes["small"] == pytest.approx(0.25, abs=0.05)
    assert found.mean == pytest.approx(np.mean(list(found.classes.values())), abs=1e-6)
    assert (found.num_with_foreground, found.num_vanished) == (4, 0)
    assert (found.num_objects, found.num_objects_vanished) == (8, 3)
    assert f": wide {found.classes['wide']:.3f}, small {found.classes['small']:.3f}" in best_iou_text(found)
    again = best_iou(read(tmp_path).samples, "data", (8, 8), "squash", replace(meaning, ignore=(7,)))
    assert again.mean == pytest.approx(found.mean)


def test_a_class_that_no_mask_holds_has_no_best_iou(tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / "images" / f"{i}.png", np.full((SIDE, SIDE, 3), 90, np.uint8))
        save(tmp_path / "masks" / f"{i}.png", np.eye(SIDE, dtype=np.uint8))
    meaning = MaskMeaning(classes=parse_classes("background=0,line=1,cup=2"))
    found = best_iou(read(tmp_path).samples, "data", (32, 32), "squash", meaning)
    assert found.classes is not None
    assert found.classes["cup"] is None
    assert ", cup in no mask; " in best_iou_text(found)
    some = found.model_copy(update={"num_images": 3})
    assert "cup in no measured mask" in best_iou_text(some)
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_one_foreground_writes_no_classes(tmp_path: Path) -> None:
    found = measured(write(tmp_path, blobs(3)))
    assert "classes" not in found.model_dump(mode="json")
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_check_says_what_the_usual_image_size_loses_of_larger_images(tmp_path: Path) -> None:
    masks = {
        "small": [spots(512, 4.5)] * 3,
        "large": [spots(1024, 2)] * 20,
        "fine": [np.kron(blob, np.ones((16, 16), bool)) for blob in blobs(2)],
    }
    small, large, fine = (read(write(tmp_path / name, each)).samples for name, each in masks.items())
    assert default_size_text(small, [(512, 512)] * 3, USUAL) == ""  # hardly larger than the network
    text = default_size_text(large, [(1024, 1024)] * 20, USUAL)
    assert text.startswith("without --image-size: at 256 x 256 px the best IoU to expect is 0.")
    assert "(true masks of 20 images, resized" in text
    assert "--resize tiles keeps" in text
    assert default_size_text(fine, [(1024, 1024)], USUAL) == ""


def test_of_many_classes_the_lowest_are_named() -> None:
    classes = {f"c{i}": 1 - i / 100 for i in range(20)} | {"cup": None}
    found = BestIou(
        image_size=[8, 8],
        resize="squash",
        foreground=None,
        mean=0.9,
        num_measured=3,
        num_images=3,
        num_with_foreground=3,
        num_vanished=0,
        classes=classes,
    )
    assert best_iou_text(found).endswith(
        ": c19 0.810, c18 0.820, c17 0.830, c16 0.840 and 16 more classes with more, cup in no mask"
    )
