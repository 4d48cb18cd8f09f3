"""The meaning of masks is decided over a data set: the same for all masks, or refused with the choices."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.mask_rules import AUTO, USUAL, MaskMeaning, parse
from segstudy.data.mask_inference import Inference
from segstudy.data.mask_looks import look_at_mask
from segstudy.data.mask_pixels import MaskPixels, decode_mask, packed
from segstudy.data.mask_survey import infer
from segstudy.data.mask_tables import table_of
from segstudy.data.masks import classified

SIDE = 40
BLACK, RED, DARK_RED, GREEN, WHITE = (0, 0, 0), (200, 30, 30), (90, 0, 0), (0, 180, 0), (255, 255, 255)
Mask = NDArray[np.bool_]


def disc(seed: int) -> Mask:
    """A disc inside the picture; every third picture is empty."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    return (np.hypot(y - rng.integers(16, 24), x - rng.integers(16, 24)) < rng.integers(5, 9)) & (
        seed % 3 != 2
    )


DISCS = [disc(seed) for seed in range(6)]


def grey(values: NDArray[np.generic], lossy: bool = False) -> MaskPixels:
    return MaskPixels(np.asarray(values), lossy=lossy)


def colours(indices: NDArray[np.generic], *palette: tuple[int, int, int]) -> MaskPixels:
    rgb = np.array(palette, np.uint8)[np.asarray(indices, np.int64)]
    return MaskPixels(packed(rgb), kind="colour", mode="RGB")


def palette(indices: NDArray[np.generic], *entries: tuple[int, int, int]) -> MaskPixels:
    return MaskPixels(
        np.asarray(indices, np.uint8), "palette", "P", palette=packed(np.array(entries, np.uint8))
    )


def surveyed(masks: Sequence[MaskPixels], asked: MaskMeaning = AUTO) -> Inference:
    return infer([look_at_mask(mask, table_of(mask, Path(f"m{i}"))) for i, mask in enumerate(masks)], asked)


def read(masks: Sequence[MaskPixels], found: Inference) -> list[Mask]:
    return [classified(mask, Path("m"), found.meaning) for mask in masks]


def assert_read(masks: Sequence[MaskPixels], rule: str, truths: Sequence[Mask] = DISCS) -> None:
    found = surveyed(masks)
    assert not found.unfit, found.unfit
    assert not found.fault
    assert str(found.meaning.rule) == rule
    assert all((got == truth).all() for got, truth in zip(read(masks, found), truths, strict=True))


def objects(mask: Mask, num_objects: int, dtype: type) -> NDArray[np.generic]:
    """A grid of objects, 4 x 4 pixels each, numbered from 1, wherever the mask is not empty."""
    cells = np.arange(100).reshape(10, 10).repeat(4, axis=0).repeat(4, axis=1)
    numbers = np.where(cells < num_objects, cells + 1, 0)
    numbers[3::4] = 0
    return (numbers if mask.any() else np.zeros_like(numbers)).astype(dtype)


# What is clear


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (0, 65_535), (0, 38), (3, 200)])
def test_two_values_in_all_masks_are_read_as_ever(values):
    dtype = np.uint16 if max(values) > 255 else np.uint8
    masks = [grey(np.where(disc, values[1], values[0]).astype(dtype)) for disc in DISCS]
    rule = "larger" if values[0] == 0 else "background=3"  # a mask without an object is 3 all over
    assert_read(masks, rule)


def test_labels_that_begin_at_one_leave_masks_without_an_object_empty():
    assert_read([grey(np.where(disc, 2, 1).astype(np.uint8)) for disc in DISCS], "background=1")


def test_true_may_be_written_as_1_in_some_masks_and_255_in_others():
    assert_read(
        [grey(disc.astype(np.uint8) * (255 if i % 2 else 1)) for i, disc in enumerate(DISCS)], "larger"
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_numbers_of_objects_are_all_foreground(dtype):
    masks = [grey(objects(disc, 60 + 7 * i, dtype)) for i, disc in enumerate(DISCS)]
    assert_read(masks, "background=0", [mask.values > 0 for mask in masks])


def test_blurred_masks_are_cut_in_the_middle():
    def blurred(mask: Mask) -> NDArray[np.uint8]:
        image = Image.fromarray(mask.astype(np.uint8) * 255).resize((64, 64), Image.Resampling.BICUBIC)
        return np.asarray(image)

    masks = [grey(blurred(disc), lossy=True) for disc in DISCS]
    assert_read(masks, "larger", [mask.values >= 128 for mask in masks])


@pytest.mark.parametrize("stored", [colours, palette])
def test_the_same_picture_gives_the_same_mask_however_it_is_stored(stored):
    assert_read([stored(disc, BLACK, RED) for disc in DISCS], "larger")


def test_the_order_of_a_palette_decides_nothing():
    masks = [
        palette(~disc, RED, BLACK) if i % 2 else palette(disc, BLACK, RED) for i, disc in enumerate(DISCS)
    ]
    assert_read(masks, "background=#000000")


def test_a_palette_and_colours_side_by_side_mean_the_same():
    masks = [
        palette(~disc, RED, BLACK) if i % 2 else colours(disc, BLACK, RED) for i, disc in enumerate(DISCS)
    ]
    assert_read(masks, "background=#000000")


# What is not, and how it is chosen


def several(values: Sequence[int], dtype: type = np.uint8) -> list[NDArray[np.generic]]:
    """A ring of the second value around a disc of the third, on the first."""
    y, x = np.mgrid[:SIDE, :SIDE]
    far = np.hypot(y - 20, x - 20)
    return [np.choose((far < 12).astype(int) + (far < r), values).astype(dtype) for r in (4, 6, 11)]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((0, 1, 2), np.uint8),
        ((255, 128, 0), np.uint8),
        ((149, 76, 0), np.uint8),
        ((0, 1000, 2000), np.uint16),
        ((0, 70_000, 90_000), np.int32),
    ],
)
def test_several_classes_are_refused_and_foreground_selects(values, dtype):
    masks = [grey(mask) for mask in several(values, dtype)]
    found = surveyed(masks)
    assert found.unfit.keys() == {0, 1, 2}
    assert all(str(value) in str(error) for error in found.unfit.values() for value in values)
    assert f"--masks background={min(values)}" in str(found.unfit[0])
    chosen = surveyed(masks, MaskMeaning(AUTO.rule, (values[2],)))
    assert not chosen.unfit
    assert all(
        (got == (m.values == values[2])).all() for got, m in zip(read(masks, chosen), masks, strict=True)
    )


def test_two_values_that_differ_between_masks_are_refused_with_the_choices():
    masks = [
        grey(disc.astype(np.uint8) * value) for disc, value in zip(DISCS, (1, 2, 2, 255, 1, 2), strict=True)
    ]
    found = surveyed(masks)
    assert len(found.unfit) == len(masks)
    assert found.refusal
    assert "together 0, 1, 2, 255 (2 is in 1 of them, as m1)" in found.refusal.what
    assert any("--masks background=0" in remedy for remedy in found.refusal.remedies)
    chosen = surveyed(masks, MaskMeaning(parse("background=0")))
    assert all((got == disc).all() for got, disc in zip(read(masks, chosen), DISCS, strict=True))


def test_a_class_number_in_one_channel_is_a_number():
    masks = [colours(m, BLACK, DARK_RED, (10, 0, 0)) for m in several((0, 1, 2))]
    found = surveyed(masks)
    assert found.unfit
    assert "0, 10, 90" in str(found.unfit[0])
    chosen = surveyed(masks, MaskMeaning(AUTO.rule, (10,)))
    inner = [m == 2 for m in several((0, 1, 2))]
    assert all((got == truth).all() for got, truth in zip(read(masks, chosen), inner, strict=True))


def test_several_colours_are_refused_and_a_colour_selects():
    masks = [colours(m, BLACK, RED, GREEN) for m in several((0, 1, 2))]
    found = surveyed(masks)
    assert {error.kind for error in found.unfit.values()} == {"coloured"}
    chosen = surveyed(masks, MaskMeaning(AUTO.rule, ("#00b400",)))
    inner = [m == 2 for m in several((0, 1, 2))]
    assert all((got == truth).all() for got, truth in zip(read(masks, chosen), inner, strict=True))


def test_numbers_of_a_palette_do_not_depend_on_the_classes_that_one_mask_holds():
    """Alone, the second mask would be one of greys, and its class 1 the grey 128."""
    entries = (BLACK, (128, 128, 128), RED)
    masks = [palette(several((0, 1, 2))[0], *entries), palette(DISCS[0], *entries)]
    found = surveyed(masks, MaskMeaning(AUTO.rule, (1,)))
    assert str(found.meaning.rule) == "indices"
    assert (read(masks, found)[1] == DISCS[0]).all()


def test_a_black_object_on_white_is_read_when_it_is_said():
    blurred = [np.where(disc, 4, 250).astype(np.uint8) for disc in DISCS]
    for mask in blurred:
        mask[0, :3] = 40, 120, 200
    masks = [grey(mask, lossy=True) for mask in blurred]
    found = surveyed(masks, MaskMeaning(parse("inverted")))
    truths = [mask < 128 for mask in blurred]
    assert all((got == truth).all() for got, truth in zip(read(masks, found), truths, strict=True))


@pytest.mark.parametrize(("name", "is_white"), [(255, True), (0, False)])
def test_of_blurred_masks_the_value_nearest_to_the_named_one_counts(name, is_white):
    values = np.where(DISCS[0], 250, 3).astype(np.uint8)
    values[0, :20] = np.arange(20)
    found = surveyed([grey(values, lossy=True)], MaskMeaning(AUTO.rule, (name,)))
    assert str(found.meaning.rule) == "nearest"
    assert (read([grey(values)], found)[0] == ((values >= 128) == is_white)).all()


def test_a_foreground_that_no_mask_holds_is_refused():
    found = surveyed([grey(disc.astype(np.uint8)) for disc in DISCS], MaskMeaning(AUTO.rule, (7,)))
    assert "no mask holds the foreground 7" in found.fault
    assert "0, 1" in found.fault


def test_probabilities_are_cut_when_it_is_said():
    masks = [grey(np.where(disc, 0.9, 0.2).astype(np.float32)) for disc in DISCS]
    masks[0] = grey(np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    assert "probabilities" in str(surveyed(masks).unfit[0])
    found = surveyed(masks, MaskMeaning(parse("cut=0.5")))
    assert not found.unfit
    assert (read(masks, found)[1] == DISCS[1]).all()


def test_the_usual_rule_is_doubted_where_the_values_speak_against_it():
    masks = [grey(np.where(disc, 2, 1).astype(np.uint8)) for disc in DISCS]
    assert "background=1" in surveyed(masks, USUAL).doubt
    assert not surveyed([grey(disc.astype(np.uint8)) for disc in DISCS], USUAL).doubt


def test_a_map_of_a_million_values_is_kept_small_and_its_cut_stays():
    values = np.random.default_rng(0).random((400, 400), np.float32)
    mask = grey(values)
    look = look_at_mask(mask, table_of(mask, Path("m")))
    assert len(look.table.values) <= 65_536
    share = look.table.counts[look.table.values >= 0.5].sum() / look.table.counts.sum()
    assert share == pytest.approx((values >= 0.5).mean(), abs=1e-3)
    assert look.border.sum() == 4 * 399


# Files


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_without_data_are_refused_by_name(tmp_path, value):
    mask = DISCS[0].astype(np.float32)
    mask[0, 0] = value
    Image.fromarray(mask).save(tmp_path / "m.tif")
    with pytest.raises(Exception, match="NaN or infinity"):
        decode_mask(tmp_path / "m.tif")


def test_a_transparent_entry_of_a_palette_is_refused_unless_it_is_black(tmp_path):
    for colour, refused in ((RED, True), (BLACK, False)):
        image = Image.fromarray(DISCS[0].astype(np.uint8)).convert("P")
        image.putpalette([*colour, *WHITE])
        image.save(tmp_path / "m.png", transparency=0)
        if refused:
            with pytest.raises(Exception, match="partly transparent"):
                decode_mask(tmp_path / "m.png")
        else:
            assert decode_mask(tmp_path / "m.png").kind == "palette"


STORED: dict[str, Callable[[Mask, int], MaskPixels]] = {
    "0 and 255": lambda mask, _: grey(mask.astype(np.uint8) * np.uint8(255)),
    "0 and 1": lambda mask, _: grey(mask.astype(np.uint8)),
    "1 and 2": lambda mask, _: grey(mask.astype(np.uint8) + np.uint8(1)),
    "16 bits": lambda mask, _: grey(mask.astype(np.uint16) * np.uint16(65_535)),
    "1 or 255": lambda mask, i: grey(mask.astype(np.uint8) * np.uint8((1, 255)[i % 2])),
    "1 or 2": lambda mask, i: grey(mask.astype(np.uint8) * np.uint8((1, 2)[i % 2])),
    "class of the mask": lambda mask, i: grey(mask.astype(np.uint8) * np.uint8(i + 1)),
    "red on black": lambda mask, _: colours(mask, BLACK, RED),
    "palette": lambda mask, i: palette(mask ^ bool(i % 2), *((BLACK, RED), (RED, BLACK))[i % 2]),
    "colour of the mask": lambda mask, i: colours(mask, BLACK, (RED, GREEN)[i % 2]),
    "three greys": lambda mask, _: grey(np.where(mask, 255, np.arange(SIDE) % 2 * 128).astype(np.uint8)),
    "white paper": lambda mask, _: palette(~mask, BLACK, WHITE),
}


@settings(max_examples=60, deadline=None)
@given(
    masks=st.lists(st.integers(0, 30).map(disc), min_size=2, max_size=8),
    stored=st.sampled_from(sorted(STORED)),
)
def test_masks_are_read_as_they_were_meant_or_refused(masks: list[Mask], stored: str):
    pixels = [STORED[stored](mask, i) for i, mask in enumerate(masks)]
    found = surveyed(pixels)
    if found.unfit or found.fault:
        assert all(str(error) for error in found.unfit.values())
        return
    got = read(pixels, found)
    if all(mask.any() for mask in masks):
        truths = masks if stored != "white paper" else [~mask for mask in masks]
        assert all((one == truth).all() for one, truth in zip(got, truths, strict=True)), found.why


def test_255_beside_0_and_1_may_be_ignored_which_keeps_two_values():
    masks = [grey(np.array([[0, 1, 255]], np.uint8))]
    (error,) = surveyed(masks).unfit.values()
    assert "values 0, 1, 255; if 255 marks pixels that count nowhere, choose --ignore 255; or" in str(error)
    assert not surveyed(masks, MaskMeaning(AUTO.rule, ignore=(255,))).unfit
