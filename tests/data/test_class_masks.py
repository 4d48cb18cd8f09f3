"""Masks of several classes, overlapping classes, and pixels to ignore, from the file to a batch."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segstudy.core.classes import parse_classes
from segstudy.core.mask_rules import MaskMeaning, MaskRule
from segstudy.core.outputs import BINARY, IGNORED, IGNORED_BITS, Outputs, outputs_of
from segstudy.data.augment import augment, changes_of
from segstudy.data.batches import Pixels, targets_of
from segstudy.data.fingerprint import fingerprint
from segstudy.data.images import ImageError
from segstudy.data.mask_pixels import MaskPixels, packed
from segstudy.data.mask_tables import table_of
from segstudy.data.masks import classified, foreground_of, read_mask
from segstudy.data.packed_masks import packed_mask, unpacked_mask
from segstudy.data.prepared import Prepared, open_prepared, prepare
from segstudy.data.preprocess import mask_to_network, placement
from segstudy.data.samples import Sample
from segstudy.data.thumbnails import small_mask

CPU = torch.device("cpu")
THREE = MaskMeaning(classes=parse_classes("background=0,disc=1,cup=2"))
SEVERAL = [
    Outputs(has_ignored=True),
    *(outputs_of(parse_classes("background=0,a=1"), ignore) for ignore in (False, True)),
    *(outputs_of(parse_classes("background=0,a=1,b=2,c=3,d=4"), ignore) for ignore in (False, True)),
    *(outputs_of(parse_classes("a,b,c"), ignore) for ignore in (False, True)),
]


def some_mask(outputs: Outputs, shape: tuple[int, int], seed: int = 0) -> NDArray[np.generic]:
    """Blocks of all classes, and of pixels to ignore where there are some."""
    rng, number = np.random.default_rng(seed), len(outputs.names)
    if outputs == BINARY:
        return rng.random(shape) < 0.5
    if outputs.task == "multilabel":
        mask = rng.integers(0, 1 << number, shape, np.uint16)
        mask[rng.random(shape) < 0.2 * outputs.has_ignored] = IGNORED_BITS
        return mask
    mask = rng.integers(0, number, shape, np.uint8)
    mask[rng.random(shape) < 0.2 * outputs.has_ignored] = IGNORED
    return mask


def save(file: Path, values: NDArray[np.generic]) -> Path:
    Image.fromarray(values).save(file)
    return file


def large(values: list[list[int]], dtype: type[np.generic] = np.uint8) -> NDArray[np.generic]:
    """Each value eight by eight times: an image needs eight pixels a side."""
    return np.array(values, dtype).repeat(8, axis=0).repeat(8, axis=1)


def read(file: Path, meaning: MaskMeaning) -> list[list[int]]:
    """A mask that was made ``large``, small again."""
    found: list[list[int]] = read_mask(file, meaning)[::8, ::8].tolist()
    return found


# Values


def test_numbers_of_classes_are_their_places_in_the_list(tmp_path: Path) -> None:
    values = large([[0, 10, 20], [30, 40, 255]])
    meaning = MaskMeaning(classes=parse_classes("background=0,a=30,b=10+20"), ignore=(40, 255))
    mask = read_mask(save(tmp_path / "m.png", values), meaning)[::8, ::8]
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 2, 2], [1, 255, 255]]


def test_wide_numbers_and_palettes_are_class_numbers(tmp_path: Path) -> None:
    values = large([[0, 1000], [40000, 0]], np.uint16)
    meaning = MaskMeaning(classes=parse_classes("background=0,a=1000,b=40000"))
    assert read(save(tmp_path / "wide.tif", values), meaning) == [[0, 1], [2, 0]]
    image = Image.fromarray(large([[0, 1], [2, 1]]), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "palette.png")
    assert read(tmp_path / "palette.png", THREE) == [[0, 1], [2, 1]]


def test_colours_are_classes_and_a_name_of_brightness_is_none(tmp_path: Path) -> None:
    rgb = np.array([[(0, 0, 0), (255, 0, 0)], [(0, 0, 255), (9, 9, 9)]], np.uint8).repeat(8, 0).repeat(8, 1)
    file = save(tmp_path / "m.png", rgb)
    meaning = MaskMeaning(
        classes=parse_classes("background=#000000,a=#ff0000,b=#0000ff"), ignore=("#090909",)
    )
    assert read(file, meaning) == [[0, 1], [2, 255]]
    with pytest.raises(ImageError, match="2 values that no class has: #0000ff, #ff0000"):
        read_mask(file, MaskMeaning(classes=parse_classes("background=#000000,a=255"), ignore=("#090909",)))


def test_a_value_of_no_class_is_refused_with_both_remedies(tmp_path: Path) -> None:
    file = save(tmp_path / "m.png", large([[0, 1, 7]]))
    with pytest.raises(
        ImageError, match=r"1 value that no class has: 7; name the class in --classes.*--ignore"
    ):
        read_mask(file, THREE)


def test_a_blurred_mask_of_classes_is_refused_with_its_format(tmp_path: Path) -> None:
    values = np.zeros((32, 32), np.uint8)
    values[8:20, 8:20] = 2
    values[12:16] = 1
    with pytest.raises(ImageError, match="blurs class numbers: save the masks as PNG"):
        classified(MaskPixels(values + np.uint8(3), lossy=True), Path("m.jpg"), THREE)


def test_a_value_that_two_classes_name_is_refused() -> None:
    pixels = MaskPixels(
        np.array([[0, 1]], np.uint8), "palette", "P", palette=packed(np.eye(3, dtype=np.uint8))
    )
    meaning = MaskMeaning(classes=parse_classes("background=0,a=1,b=#000100"))
    with pytest.raises(ImageError, match="1 value that two classes name: 1"):
        classified(pixels, Path("m.png"), meaning)


def test_ignored_values_of_a_binary_mask_are_not_seen_by_its_rule(tmp_path: Path) -> None:
    values = large([[0, 1, 255], [0, 1, 255]])
    file = save(tmp_path / "m.png", values)
    assert read(file, MaskMeaning(ignore=(255,))) == [[0, 1, 255], [0, 1, 255]]
    assert read(file, MaskMeaning(foreground=(1,), ignore=(255,))) == [[0, 1, 255]] * 2
    background = MaskMeaning(MaskRule("background", "1"), ignore=(0,))
    assert read(file, background) == [[255, 0, 1]] * 2


def test_a_mask_of_nothing_but_ignored_pixels_is_ignored_altogether(tmp_path: Path) -> None:
    file = save(tmp_path / "m.png", np.full((8, 9), 255, np.uint8))
    assert (read_mask(file, MaskMeaning(ignore=(255,))) == IGNORED).all()
    assert (read_mask(file, MaskMeaning(classes=THREE.classes, ignore=(255,))) == IGNORED).all()


def test_foreground_of_several_classes_is_all_but_background_and_ignored() -> None:
    table = table_of(MaskPixels(np.array([[0, 1, 2, 9]], np.uint8)), Path("m.png"))
    meaning = MaskMeaning(classes=THREE.classes, ignore=(9,))
    assert foreground_of(table, meaning).tolist() == [False, True, True, False]
    without = MaskMeaning(classes=parse_classes("a=0,b=1+2"), ignore=(9,))
    assert foreground_of(table, without).tolist() == [True, True, True, False]


# Resizing


@pytest.mark.parametrize("native", [(48, 64), (45, 63), (31, 100), (7, 5)])
@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_two_exclusive_classes_are_resized_as_the_binary_mask(native, resize) -> None:
    for seed in range(4):
        binary = np.random.default_rng(seed).random(native) < 0.5
        expected = mask_to_network(binary, (24, 20), resize)
        for outputs in (SEVERAL[0], SEVERAL[1], SEVERAL[2]):
            small = mask_to_network(binary.astype(np.uint8), (24, 20), resize, outputs)
            assert small.dtype == np.uint8
            assert np.array_equal(small, expected)
        bits = mask_to_network(np.where(binary, np.uint16(2), np.uint16(0)), (24, 20), resize, SEVERAL[5])
        assert bits.dtype == np.uint16
        assert np.array_equal(bits == 2, expected)


@pytest.mark.parametrize("outputs", SEVERAL)
def test_every_pixel_is_of_the_class_with_the_largest_share_of_its_box(outputs: Outputs) -> None:
    mask = some_mask(outputs, (48, 64), 3)
    small = mask_to_network(mask, (12, 16), "squash", outputs)
    boxes = mask.reshape(12, 4, 16, 4).swapaxes(1, 2).reshape(12, 16, 16)
    for found, box in zip(small.reshape(-1), boxes.reshape(-1, 16), strict=True):
        if outputs.task == "multilabel":
            is_ignored = box == IGNORED_BITS
            if is_ignored.mean() >= 0.5:
                assert found == IGNORED_BITS
            else:
                for k in range(3):
                    assert bool(found >> k & 1) == ((box[~is_ignored] >> k & 1).mean() >= 0.5)
        else:
            counts = np.bincount(box, minlength=256)
            assert found == np.flatnonzero(counts == counts.max())[-1]


@pytest.mark.parametrize("outputs", SEVERAL)
def test_at_its_own_size_a_mask_stays_as_it_is(outputs: Outputs) -> None:
    mask = some_mask(outputs, (20, 30))
    assert np.array_equal(mask_to_network(mask, (20, 30), "squash", outputs), mask)


@pytest.mark.parametrize("outputs", SEVERAL)
def test_padding_is_background(outputs: Outputs) -> None:
    mask = np.full((20, 40), 1, outputs.mask_dtype)
    small = mask_to_network(mask, (32, 32), "pad", outputs)
    top, left, height, width = placement((20, 40), (32, 32), "pad")
    inside = np.zeros((32, 32), bool)
    inside[top : top + height, left : left + width] = True
    assert np.array_equal(small == 1, inside)
    assert not small[~inside].any()


# Native masks


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([BINARY, *SEVERAL]), st.integers(1, 13), st.integers(1, 13), st.integers(0, 99))
def test_packed_masks_come_back_exactly(outputs: Outputs, height: int, width: int, seed: int) -> None:
    mask = some_mask(outputs, (height, width), seed)
    bits = packed_mask(mask, outputs)
    assert bits.dtype == np.uint8
    back = unpacked_mask(bits, (height, width), outputs)
    assert back.dtype == outputs.mask_dtype
    assert np.array_equal(back, mask)


def test_masks_take_as_many_bits_as_their_classes_need() -> None:
    sizes = [packed_mask(some_mask(outputs, (16, 16)), outputs).nbytes / 32 for outputs in [BINARY, *SEVERAL]]
    assert sizes == [1, 2, 1, 2, 3, 3, 3, 4]
    many = Outputs("multiclass", tuple(map(str, range(254))), has_ignored=True)
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    mask[mask == 254] = 0
    assert np.array_equal(unpacked_mask(packed_mask(mask, many), (16, 16), many), mask)


def written_set(folder: Path, masks: list[NDArray[np.generic]]) -> tuple[Sample, ...]:
    samples = []
    for i, mask in enumerate(masks):
        image = np.random.default_rng(i).integers(0, 255, (*mask.shape, 3), np.uint8)
        files = save(folder / f"{i}.png", image), save(folder / f"{i}_mask.png", mask)
        samples.append(Sample(str(i), *files, str(i)))
    return tuple(samples)


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Prepared, list[NDArray[np.uint8]]]:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    outputs = outputs_of(THREE.classes, True)
    masks = [np.asarray(some_mask(outputs, (9 + i, 11), i), np.uint8) for i in range(4)]
    samples = written_set(tmp_path, masks)
    meaning = MaskMeaning(classes=THREE.classes, ignore=(255,))
    return open_prepared(prepare(samples, fingerprint(samples), (8, 8), "pad", meaning)), masks


def test_prepared_masks_are_those_of_the_files(prepared) -> None:
    arrays, masks = prepared
    assert arrays.outputs == Outputs("multiclass", ("background", "disc", "cup"), True)
    assert arrays.masks.dtype == np.uint8
    for i, mask in enumerate(masks):
        assert np.array_equal(arrays.native_mask(i), mask)
        assert np.array_equal(arrays.masks[i], mask_to_network(mask, (8, 8), "pad", arrays.outputs))


def test_every_meaning_has_prepared_data_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    samples = written_set(tmp_path, [large([[0, 1, 255]])] * 2)
    meanings = [
        MaskMeaning(foreground=(1,)),
        MaskMeaning(foreground=(1,), ignore=(255,)),
        MaskMeaning(classes=parse_classes("background=0,a=1"), ignore=(255,)),
        MaskMeaning(classes=parse_classes("background=0,b=1"), ignore=(255,)),
        MaskMeaning(classes=parse_classes("background=0,a=1,b=255")),
    ]
    folders = [prepare(samples, "data", (8, 8), "squash", meaning) for meaning in meanings]
    assert len(set(folders)) == len(folders)
    indices = [json.loads((folder / "index.json").read_text())["index"] for folder in folders]
    assert ["outputs" in index for index in indices] == [False, True, True, True, True]


def test_thumbnails_of_masks_hold_class_numbers_and_nothing_between(prepared) -> None:
    arrays, _ = prepared
    with Image.open(io.BytesIO(small_mask(arrays, 0))) as image:
        assert image.mode == "L"
        found = np.unique(np.asarray(image))
    assert set(found) <= set(np.unique(arrays.masks[0]))


# Batches and augmentation


@pytest.mark.parametrize("resident", [False, True])
def test_targets_of_exclusive_classes_are_numbers(prepared, resident: bool) -> None:
    arrays, _ = prepared
    held = torch.from_numpy(np.array(arrays.images)), torch.from_numpy(np.array(arrays.masks))
    pixels = Pixels(arrays, CPU, held if resident else None)
    _, target = next(pixels.batches(np.array([2, 0]), 2))
    assert target.shape == (2, 8, 8)
    assert target.dtype == torch.int64
    for place, position in enumerate((2, 0)):
        expected = arrays.masks[position].astype(np.int64)
        expected[expected == IGNORED] = -100
        assert np.array_equal(target[place].numpy(), expected)


def test_targets_of_overlapping_classes_are_planes() -> None:
    bits = np.array([[[0, 1, 5], [2, 7, 1 << 15]]], np.uint16)
    target = targets_of(torch.from_numpy(bits.view(np.int16)), Outputs("multilabel", ("a", "b", "c"), True))
    assert target.shape == (1, 3, 2, 3)
    assert target.dtype == torch.float32
    assert target[0, 0].tolist() == [[0, 1, 1], [0, 1, -1]]
    assert target[0, 1].tolist() == [[0, 0, 0], [1, 1, -1]]
    assert target[0, 2].tolist() == [[0, 0, 1], [0, 1, -1]]


def test_ignored_pixels_of_binary_targets_are_below_zero() -> None:
    target = targets_of(torch.tensor([[[0, 1, 255]]], dtype=torch.uint8), Outputs(has_ignored=True))
    assert target.tolist() == [[[[0, 1, -1]]]]


def as_target(masks: list[NDArray[np.generic]], outputs: Outputs) -> torch.Tensor:
    stack = np.stack(masks)
    return targets_of(torch.from_numpy(stack.view(np.int16) if stack.dtype == np.uint16 else stack), outputs)


@pytest.mark.parametrize("outputs", SEVERAL)
def test_flips_of_targets_are_exact(outputs: Outputs) -> None:
    masks = [some_mask(outputs, (12, 16), seed) for seed in range(6)]
    ids = list("abcdef")
    changes = changes_of(ids, 0, 1)
    assert {bool(flip) for flip in changes[:, 0]} == {False, True}
    _, target = augment(torch.rand(6, 3, 12, 16), as_target(masks, outputs), "flips", changes, outputs)
    moved = [
        mask[:: -1 if change[1] else 1, :: -1 if change[0] else 1]
        for mask, change in zip(masks, changes, strict=True)
    ]
    assert torch.equal(target, as_target(moved, outputs))


@pytest.mark.parametrize("outputs", [BINARY, *SEVERAL])
def test_full_augmentation_keeps_shape_type_and_values(outputs: Outputs) -> None:
    target = as_target([some_mask(outputs, (20, 24), seed) for seed in range(3)], outputs)
    before = target.clone()
    _, moved = augment(torch.rand(3, 3, 20, 24), target, "full", changes_of(["a", "b", "c"], 0, 1), outputs)
    assert torch.equal(target, before)
    assert moved.shape == target.shape
    assert moved.dtype == target.dtype
    assert set(moved.unique().tolist()) <= set(target.unique().tolist())


def test_two_classes_move_as_the_binary_mask() -> None:
    y, x = np.mgrid[:48, :64]
    mask = np.hypot(y - 19, x - 38) < 11
    image, changes = torch.rand(1, 3, 48, 64), changes_of(["sample"], 0, 1)
    binary = augment(image, as_target([mask], BINARY), "full", changes)
    for outputs in SEVERAL[:3]:
        again = augment(image, as_target([mask.astype(np.uint8)], outputs), "full", changes, outputs)
        assert torch.equal(again[0], binary[0])
        differing = (again[1].view(1, 1, 48, 64) != binary[1]).float().mean()
        assert differing < 0.001  # ties, by rounding
