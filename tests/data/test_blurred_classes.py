"""Label masks that JPEG or resizing has blurred are refused as such; blurred black and white is not."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import save
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from segstudy.core.classes import parse_classes
from segstudy.core.mask_rules import AUTO, MaskMeaning, parse
from segstudy.data import blurred_classes
from segstudy.data.blurred_classes import steady_counts
from segstudy.data.check import examine
from segstudy.data.datasets import read
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import look_at_mask
from segstudy.data.mask_pixels import MaskPixels
from segstudy.data.mask_survey import infer
from segstudy.data.mask_tables import table_of

Grey = NDArray[np.uint8]
SIDE = 96


def rings(*values: int) -> list[Grey]:
    """Discs of the last value in rings of the one before, on a background of the first."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:SIDE, :SIDE]
        distance = np.hypot(y - rng.integers(35, 60), x - rng.integers(35, 60))
        ring = np.searchsorted(-np.linspace(30, 12, len(values) - 1), -distance)
        found.append(np.array(values, np.uint8)[ring])
    return found


def jpeg(mask: Grey, quality: int = 75) -> Grey:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(mask: Grey, factor: float, by: Image.Resampling) -> Grey:
    size = round(SIDE * factor)
    return np.asarray(Image.fromarray(mask).resize((size, size), by))


def soft(mask: Grey, radius: float) -> Grey:
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(radius)))


BLURS: dict[str, Callable[[Grey], Grey]] = {
    "JPEG 95": lambda mask: jpeg(mask, 95),
    "JPEG 75": jpeg,
    "JPEG 30": lambda mask: jpeg(mask, 30),
    "half": lambda mask: resized(mask, 0.5, Image.Resampling.BILINEAR),
    "four fifths": lambda mask: resized(mask, 0.8, Image.Resampling.BICUBIC),
    "threefold": lambda mask: resized(mask, 3, Image.Resampling.LANCZOS),
    "threefold, then JPEG": lambda mask: jpeg(resized(mask, 3, Image.Resampling.BILINEAR)),
}


def found_in(masks: Sequence[Grey], asked: MaskMeaning = AUTO, lossy: bool = False) -> Inference:
    pixels = [MaskPixels(mask, lossy=lossy) for mask in masks]
    return infer([look_at_mask(each, table_of(each, Path(f"m{i}"))) for i, each in enumerate(pixels)], asked)


@pytest.mark.parametrize("values", [(0, 100, 200), (0, 128, 255), (0, 60, 120, 180, 240), (200, 100, 0)])
@pytest.mark.parametrize("blur", BLURS)
def test_label_masks_are_told_from_masks_with_blurred_edges(blur: str, values: tuple[int, ...]) -> None:
    found = found_in([BLURS[blur](mask) for mask in rings(*values)])
    assert found.refusal
    assert found.refusal.kind == "blurred"
    assert "label masks blurred by" in found.refusal.what
    assert "cut" not in "".join(found.refusal.remedies)
    assert "PNG" in found.refusal.remedies[0]
    assert len(found.unfit) == 6
    assert all(
        "label masks blurred by" in str(error) and "PNG" in str(error) for error in found.unfit.values()
    )


@pytest.mark.parametrize("values", [(0, 255), (0, 200), (255, 0)])
@pytest.mark.parametrize("blur", BLURS)
def test_masks_of_two_values_are_never_taken_for_label_masks(blur: str, values: tuple[int, ...]) -> None:
    found = found_in([BLURS[blur](mask) for mask in rings(*values)])
    assert not found.refusal or found.refusal.kind != "blurred"


@pytest.mark.parametrize("radius", [1, 3, 8])
def test_soft_masks_have_no_levels_between(radius: float) -> None:
    masks = [soft(mask, radius) for mask in rings(0, 255)]
    found = found_in(masks)
    assert not found.refusal
    assert all("cut=128" in error.detail for error in found.unfit.values())


def test_a_small_class_is_found_too_where_few_pixels_are_grey() -> None:
    """5 % of grey pixels were taken for blurred edges, and the class for background."""
    masks = rings(0, 255)
    for mask in masks:
        mask[4:14, 4:14] = 100
    blurred = [jpeg(mask) for mask in masks]
    assert max(np.isin(mask, range(32, 224)).mean() for mask in blurred) < 0.05
    found = found_in(blurred, lossy=True)
    assert found.refusal
    assert re.search("0, (99|100) and 255", found.refusal.what)


def test_a_cut_that_would_merge_classes_is_a_warning() -> None:
    masks = [jpeg(mask) for mask in rings(0, 100, 200)]
    assert "0, 100 and 200" in found_in(masks, MaskMeaning(parse("cut=128")), lossy=True).doubt
    two = [jpeg(mask) for mask in rings(0, 200)]
    assert found_in(two, MaskMeaning(parse("cut=100")), lossy=True).doubt == ""
    assert found_in(rings(0, 100, 200), MaskMeaning(parse("cut=128"))).doubt != ""


@pytest.mark.parametrize(
    "asked",
    [
        MaskMeaning(AUTO.rule, (200,)),
        MaskMeaning(AUTO.rule, ignore=(100,)),
        MaskMeaning(AUTO.rule, classes=parse_classes("background=0,a=100,b=200")),
    ],
    ids=["foreground", "ignore", "classes"],
)
@pytest.mark.parametrize("lossy", [True, False])
def test_values_that_are_named_must_be_whole(asked: MaskMeaning, lossy: bool) -> None:
    """Of a JPEG mask with 200 few pixels have exactly 200; the others would be background."""
    found = found_in([jpeg(mask) for mask in rings(0, 100, 200)], asked, lossy)
    assert len(found.unfit) == 6
    assert found.refusal
    assert found.refusal.kind == "blurred"
    assert not found_in(rings(0, 100, 200), MaskMeaning(AUTO.rule, (200,))).unfit


def test_one_value_in_lossy_masks_of_black_and_white_is_no_number_unless_black_or_white() -> None:
    masks = [jpeg(mask) for mask in rings(0, 255)]
    assert not found_in(masks, MaskMeaning(AUTO.rule, (255,)), lossy=True).unfit
    assert found_in(masks, MaskMeaning(AUTO.rule, ignore=(7,)), lossy=True).unfit


def test_many_classes_with_areas_of_their_own_are_not_blurred() -> None:
    areas = np.arange(90, dtype=np.uint8).repeat(9 * 10).reshape(90, 90) + np.uint8(60)
    found = found_in([areas, areas[::-1]], MaskMeaning(AUTO.rule, (75,)))
    assert not found.unfit


def test_the_blur_of_files_is_one_error_for_the_data_set(tmp_path: Path) -> None:
    for i, mask in enumerate(rings(0, 100, 200)):
        picture = np.random.default_rng(i).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        save(tmp_path / f"images/p{i}.png", picture)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"masks/p{i}.jpg", quality=75)
    (error,) = [each for each in examine(read(tmp_path)).problems if each.severity == "error"]
    assert error.kind == "blurred masks"
    assert "blurred by their format" in error.detail
    assert len(error.samples) == 6


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_classes_in_a_lossy_format_are_not_named_by_value(kind: Any) -> None:
    """Small class numbers have no levels after JPEG, and colours are thousands: neither may be named."""
    values = jpeg(rings(0, 1, 2)[0] * np.uint8(6), 75).astype(np.uint32 if kind == "colour" else np.uint8)
    mask = (
        MaskPixels(values * np.uint32(0x010203), kind, lossy=True)
        if kind == "colour"
        else MaskPixels(values, lossy=True)
    )
    found = infer([look_at_mask(mask, table_of(mask, Path("m.jpg")))])
    assert found.refusal
    assert "blurred" in found.refusal.what
    assert "--foreground" not in "".join(found.refusal.remedies)


def test_all_values_of_a_format_without_loss_may_be_classes() -> None:
    """WebP may keep values exactly: then many classes are as good as in a PNG."""
    areas = np.arange(20, dtype=np.uint8).repeat(8 * 20).reshape(20, 160).repeat(4, axis=0)
    classes = parse_classes(",".join(f"c{i}={i}" for i in range(20)))
    assert not found_in([areas] * 2, MaskMeaning(AUTO.rule, classes=classes), lossy=True).unfit
    found = found_in([areas] * 2, MaskMeaning(AUTO.rule, classes=classes[:-1]), lossy=True)
    assert found.refusal
    assert found.refusal.kind == "blurred"


def test_strips_count_what_the_whole_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = jpeg(rings(0, 100, 200)[0])
    whole = steady_counts(mask)
    monkeypatch.setattr(blurred_classes, "STRIP_PIXELS", 1000)
    assert (steady_counts(mask) == whole).all()
    inner, right, below, both = (mask[:-1, :-1].astype(int), mask[:-1, 1:], mask[1:, :-1], mask[1:, 1:])
    steady = np.maximum.reduce([abs(inner - each) for each in (right, below, both)]) <= 8
    assert (whole == np.bincount(inner[steady], minlength=256)).all()
