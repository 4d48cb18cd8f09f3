"""Images and masks at their own size in chunks, and the tiles that are cut out of them."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiff_writer import tiff

from segstudy.core.classes import parse_classes
from segstudy.core.errors import UserError
from segstudy.core.intensity import FULL, Scale
from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.core.outputs import BINARY, IGNORED_BITS, Outputs, outputs_of
from segstudy.core.windowing import Windowing
from segstudy.data import prepared_writer, sample_files
from segstudy.data.chunks import CHUNK, counts_in_chunks, in_chunks
from segstudy.data.fingerprint import fingerprint
from segstudy.data.hashed_arrays import PreparedDataGoneError
from segstudy.data.images import read_image
from segstudy.data.masks import read_mask
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.samples import Sample
from segstudy.data.sources import MaskSource, PerClass
from segstudy.data.tiled import Tiled
from segstudy.data.windows import cut

SIZES = ((300, 150), (40, 20), (128, 256), (200, 129), (127, 128))
WINDOWING = Windowing((64, 48), 16)
CUP = parse_classes("background=0,disc=1,cup=2")
ALL_SCORED = parse_classes("sky=0,road=1,car=2")
OVERLAPPING = parse_classes("disc,cup")
MEANINGS = {
    "binary": USUAL,
    "binary, ignored": MaskMeaning(ignore=(7,), foreground=(255,)),
    "multiclass": MaskMeaning(classes=CUP, ignore=(255,)),
    "multiclass without background": MaskMeaning(classes=ALL_SCORED),
    "multilabel": MaskMeaning(classes=OVERLAPPING),
}


def some_values(meaning: MaskMeaning, size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Values of a mask file: a few blocks, so that some chunks have no pixel of a class."""
    rng = np.random.default_rng(seed)
    values = np.zeros(size, np.uint8)
    named = [int(each.values[0]) for each in meaning.classes if each.values] or [
        0,
        *(meaning.foreground or (255,)),
    ]
    for value in [*named[1:], *(int(each) for each in meaning.ignore)]:
        top, left = (int(rng.integers(0, length)) for length in size)
        values[top : top + 30, left : left + 25] = value
    values[0, 0], values[-1, -1] = named[0], named[-1]
    return values


def written(folder: Path, meaning: MaskMeaning, channels: int = 3, sizes=SIZES) -> tuple[Sample, ...]:
    folder.mkdir(parents=True)
    samples = []
    for i, size in enumerate(sizes):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, channels), np.uint8)
        image = folder / f"{i}.tif"
        image.write_bytes(tiff(pixels[..., 0] if channels == 1 else pixels, 2 if channels == 3 else 1))
        if meaning.outputs.task == "multilabel":
            files = []
            for number, each in enumerate(meaning.classes):
                files.append(folder / f"{i}_{each.name}.tif")
                files[-1].write_bytes(tiff(some_values(USUAL, size, 10 * i + number)))
            names = [each.name for each in meaning.classes]
            mask: MaskSource = PerClass(tuple(zip(names, files, strict=True)))
        else:
            mask = folder / f"{i}_mask.tif"
            mask.write_bytes(tiff(some_values(meaning, size, i)))
        samples.append(Sample(f"s{i}", image, mask, f"g{i}"))
    return tuple(samples)


def opened(folder: Path, meaning: MaskMeaning = USUAL, channels: int = 3) -> tuple[Tiled, tuple[Sample, ...]]:
    samples = written(folder, meaning, channels)
    scale = Scale(channels=channels)
    made = prepare(samples, fingerprint(samples), (64, 48), "tiles", meaning, scale)
    return open_prepared(made, WINDOWING), samples


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(tiled: Tiled, position: int, sample: Sample, meaning: MaskMeaning, scale: Scale) -> None:
    """The image and the mask are those of the files, and windows those cut out of them."""
    image, mask = read_image(sample.image, scale=scale), read_mask(sample.mask, meaning)
    assert tiled.native_sizes[position] == mask.shape
    for found, expected in (
        (tiled.native_image(position), image),
        (tiled.native_mask(position), mask),
        (tiled.network_mask(position), mask),
    ):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    order = tiled.scoring_order(position)
    places = tiled.windows(position).places()
    assert order.tolist() == [[position, *place] for place in places]
    tile = tiled.windowing.tile
    np.testing.assert_array_equal(tiled.inputs(order), [cut(image, place, tile) for place in places])
    np.testing.assert_array_equal(tiled.targets(order), [cut(mask, place, tile) for place in places])
    assert tiled.targets(order).dtype == meaning.outputs.mask_dtype
    covered = np.zeros(mask.shape, bool)
    for top, left in places:
        covered[top : top + tile[0], left : left + tile[1]] = True
    assert covered.all()


@pytest.mark.parametrize("name", MEANINGS)
def test_every_pixel_is_found_again(tmp_path: Path, name: str) -> None:
    meaning = MEANINGS[name]
    tiled, samples = opened(tmp_path / "set", meaning)
    assert tiled.ids == tuple(sample.id for sample in samples)
    for position, sample in enumerate(samples):
        same(tiled, position, sample, meaning, FULL)
        mask, outputs = tiled.native_mask(position), meaning.outputs
        counted = [np.count_nonzero(outputs.plane(mask, i)) for i in range(len(outputs.names))]
        assert tiled.class_pixels[position].tolist() == counted


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_other_channels_too(tmp_path: Path, channels: int) -> None:
    tiled, samples = opened(tmp_path / "set", channels=channels)
    assert tiled.num_channels == channels
    for position, sample in enumerate(samples):
        same(tiled, position, sample, USUAL, Scale(channels=channels))


@pytest.mark.parametrize("name", MEANINGS)
def test_tiles_lie_inside_and_as_many_as_cover_the_images(tmp_path: Path, name: str) -> None:
    tiled, _ = opened(tmp_path / "set", MEANINGS[name])
    positions = np.arange(len(tiled.ids))
    order = tiled.order_of_epoch(positions, 3, 1)
    assert len(order) == tiled.num_inputs(positions) == 5 * 4 + 1 + 2 * 6 + 4 * 3 + 2 * 3
    for position, size in enumerate(tiled.native_sizes):
        places = order[order[:, 0] == position][:, 1:]
        assert len(places) == WINDOWING.num_tiles(size)
        assert (places >= 0).all()
        assert (places <= np.maximum(np.array(size) - WINDOWING.tile, 0)).all()
    assert tiled.inputs(order[:0]).shape == (0, 64, 48, 3)


def test_tiles_follow_from_seed_epoch_and_id_alone(tmp_path: Path) -> None:
    tiled, _ = opened(tmp_path / "set")
    positions = np.arange(5)
    order = tiled.order_of_epoch(positions, 3, 1)
    np.testing.assert_array_equal(order, tiled.order_of_epoch(positions, 3, 1))
    one = tiled.order_of_epoch(np.array([3]), 3, 1)  # the tiles of an image do not depend on the others
    assert sorted(one.tolist()) == sorted(row for row in order.tolist() if row[0] == 3)
    others = [tiled.order_of_epoch(positions, *each).tolist() for each in ((3, 2), (4, 1))]
    assert order.tolist() not in others
    assert others[0] != others[1]


def test_the_tiles_of_today_are_the_tiles_of_tomorrow(tmp_path: Path) -> None:
    """Computed once and committed: they decide the numbers of every run."""
    tiled, _ = opened(tmp_path / "set", MEANINGS["multiclass"])
    found = tiled.order_of_epoch(np.array([2, 1]), 0, 1)
    assert found[:4].tolist() == [[2, 26, 21], [2, 34, 188], [2, 12, 87], [2, 17, 77]]
    assert found[-3:].tolist() == [[2, 44, 162], [1, 0, 0], [2, 10, 169]]


def test_inputs_do_not_depend_on_how_they_are_asked_for(tmp_path: Path) -> None:
    tiled, _ = opened(tmp_path / "set")
    order = tiled.order_of_epoch(np.arange(5), 0, 1)
    apart = np.concatenate([tiled.inputs(order[i : i + 7]) for i in range(0, len(order), 7)])
    np.testing.assert_array_equal(tiled.inputs(order), apart)


@pytest.mark.parametrize("name", ["binary", "multiclass", "multiclass without background", "multilabel"])
def test_half_of_the_tiles_hold_a_pixel_of_a_class_that_is_drawn_evenly(tmp_path: Path, name: str) -> None:
    """In a large image with a few small objects, next to no tile anywhere in it holds one."""
    meaning = MEANINGS[name]
    samples = written(tmp_path / "set", meaning, sizes=((1000, 900),))
    made = prepare(samples, fingerprint(samples), (32, 32), "tiles", meaning)
    tiled = open_prepared(made, Windowing((32, 32), 8))
    outputs, mask = meaning.outputs, tiled.native_mask(0)
    order = np.concatenate([tiled.order_of_epoch(np.array([0]), 0, epoch) for epoch in range(1, 4)])
    targets = tiled.targets(order)
    held = np.array([[outputs.plane(each, i).any() for i in outputs.scored] for each in targets])
    anywhere = np.array([outputs.plane(mask, i).mean() for i in outputs.scored])
    if name == "multiclass without background":  # one that is everywhere is held by all tiles
        held, anywhere = held[:, 1:], anywhere[1:]
        assert (anywhere < 0.01).all()
        assert np.abs(held.mean(axis=0) - 1 / 6).max() < 0.05
        return
    assert (anywhere < 0.01).all()
    assert abs(held.any(axis=1).mean() - 0.5) < 0.05
    assert np.abs(held.mean(axis=0) - 0.5 / len(outputs.scored)).max() < 0.05


def test_every_pixel_of_a_class_and_every_place_around_it_is_as_likely(tmp_path: Path) -> None:
    sample = written(tmp_path / "set", USUAL, sizes=((300, 400),))[0]
    mask = np.zeros((300, 400), np.uint8)
    mask[126:131, 5], mask[299, 399] = 255, 255  # over the border of two chunks, and the last pixel
    assert isinstance(sample.mask, Path)
    sample.mask.write_bytes(tiff(mask))
    made = prepare([sample], fingerprint([sample]), (8, 8), "tiles")
    tiled = open_prepared(made, Windowing((8, 8), 0))
    orders = [tiled.order_of_epoch(np.array([0]), 0, epoch) for epoch in (1, 2, 3)]
    places = np.concatenate(orders)[:, 1:]
    last = (places == (292, 392)).all(axis=1)
    held = last | ((places[:, 1] <= 5) & (places[:, 0] + 7 >= 126) & (places[:, 0] <= 130))
    assert abs(held.mean() - 0.5) < 0.03
    assert abs(last.sum() / held.sum() - 1 / 6) < 0.03
    lefts = places[held & ~last][:, 1]
    assert np.unique(lefts).tolist() == [0, 1, 2, 3, 4, 5]
    assert np.bincount(lefts).min() > 0.12 * len(lefts)


def test_an_image_without_pixels_of_a_scored_class_is_drawn_from_evenly(tmp_path: Path) -> None:
    sample = written(tmp_path / "set", USUAL, sizes=((96, 96),))[0]
    assert isinstance(sample.mask, Path)
    sample.mask.write_bytes(tiff(np.zeros((96, 96), np.uint8)))
    made = prepare([sample], fingerprint([sample]), (32, 32), "tiles")
    tiled = open_prepared(made, Windowing((32, 32), 8))
    order = np.concatenate([tiled.order_of_epoch(np.array([0]), 0, epoch) for epoch in range(200)])
    assert abs(order[:, 1:].mean() - 32) < 1
    assert set(np.unique(order[:, 1:])) == set(range(65))


def test_names_of_tiles_are_different_in_an_epoch(tmp_path: Path) -> None:
    tiled, _ = opened(tmp_path / "set")
    order = np.array([[1, 0, 0], [0, 7, 5], [1, 0, 0]])
    assert tiled.names(order) == ["s1@0,0#0", "s0@7,5#0", "s1@0,0#1"]
    names = tiled.names(tiled.order_of_epoch(np.arange(5), 0, 1))
    assert len(set(names)) == len(names)


@given(st.integers(1, 400), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_pixels_are_counted_in_the_chunk_where_they_are(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for outputs in (BINARY, outputs_of(ALL_SCORED, True), outputs_of(OVERLAPPING, True)):
        mask = some_mask(outputs, (height, width), rng)
        counts, cut_up = counts_in_chunks(mask, outputs), in_chunks(mask)
        assert counts.shape == (len(cut_up), len(outputs.names))
        columns = -(-width // CHUNK)
        for number, chunk in enumerate(cut_up):
            top, left = (CHUNK * each for each in divmod(number, columns))
            inner = chunk[: height - top, : width - left]
            np.testing.assert_array_equal(inner, mask[top : top + CHUNK, left : left + CHUNK])
            expected = [np.count_nonzero(outputs.plane(inner, i)) for i in range(len(outputs.names))]
            assert counts[number].tolist() == expected


def some_mask(outputs: Outputs, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.generic]:
    if outputs.task == "multilabel":
        mask = rng.integers(0, 4, size, np.uint16)
        mask[rng.random(size) < 0.1] = IGNORED_BITS
        return mask
    if outputs.task == "multiclass":
        mask = rng.integers(0, 3, size, np.uint8)
        mask[rng.random(size) < 0.1] = 255
        return mask
    return rng.random(size) < 0.3


# The folder


def test_the_folder_depends_on_what_it_holds_and_not_on_the_tiles(tmp_path: Path) -> None:
    samples = written(tmp_path / "set", MEANINGS["multiclass"])

    def made(*settings):
        return prepare(samples, "data", *settings)

    meaning = MEANINGS["multiclass"]
    usual = made((64, 48), "tiles", meaning)
    assert usual == made((128, 128), "tiles", meaning)
    others = [
        made((64, 48), "squash", meaning),
        made((64, 48), "tiles", MaskMeaning(classes=ALL_SCORED, ignore=(255,))),
        made((64, 48), "tiles", MaskMeaning(classes=CUP[:2], ignore=(2, 255))),
    ]
    assert len({usual, *others}) == 4


def test_prepared_samples_are_opened_as_what_they_are(tmp_path: Path) -> None:
    samples = written(tmp_path / "set", USUAL)
    squashed, chunked = (prepare(samples, "data", (64, 48), each) for each in ("squash", "tiles"))
    assert open_prepared(squashed).resize == "squash"
    assert open_prepared(chunked, WINDOWING).resize == "tiles"
    for folder, windowing in ((squashed, WINDOWING), (chunked, None)):
        with pytest.raises(AssertionError, match="windows"):
            open_prepared(folder, windowing)


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "counts.npy"])
def test_a_damaged_chunk_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    samples = written(tmp_path / "set", USUAL)
    folder = prepare(samples, "data", (64, 48), "tiles")
    relied_on = open_prepared(folder, WINDOWING)
    content = bytearray((folder / name).read_bytes())
    content[-1000 if len(content) > 5000 else -1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(PreparedDataGoneError, match=f"{name}: was altered"):
        open_prepared(folder, WINDOWING)
    if name != "counts.npy":
        with pytest.raises(PreparedDataGoneError, match="was altered"):
            relied_on.native_mask(0) if name == "masks.npy" else relied_on.native_image(0)
    assert prepare(samples, "data", (64, 48), "tiles") == folder
    assert "prepared again" in caplog.text
    same(open_prepared(folder, WINDOWING), 0, samples[0], USUAL, FULL)


def test_an_image_whose_mask_has_another_size_is_refused(tmp_path: Path) -> None:
    samples = written(tmp_path / "set", USUAL)
    assert isinstance(samples[1].mask, Path)
    samples[1].mask.write_bytes(tiff(np.zeros((20, 40), np.uint8)))
    with pytest.raises(UserError, match="s1: image and mask differ in size"):
        prepare(samples, "data", (64, 48), "tiles")


def stop_at(number: int) -> Callable[[int], None]:
    def stopping(done: int) -> None:
        if done == number:
            raise KeyboardInterrupt

    return stopping


def test_an_interrupted_preparation_of_large_images_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = written(tmp_path / "set", USUAL)
    whole = prepare(samples, "data", (64, 48), "tiles")
    expected = {file.name: file.read_bytes() for file in whole.iterdir()}
    for each in whole.iterdir():
        each.unlink()
    whole.rmdir()
    monkeypatch.setattr(sample_files, "MANY_BYTES", 1)
    monkeypatch.setattr(prepared_writer, "EVERY_BYTES", 200_000)
    with pytest.raises(KeyboardInterrupt):
        prepare(samples, "data", (64, 48), "tiles", progress=stop_at(4))
    decoded: list[str] = []
    original = sample_files.read_image

    def noting(source, **kwargs):
        decoded.append(Path(source).stem)
        return original(source, **kwargs)

    monkeypatch.setattr(sample_files, "read_image", noting)
    assert prepare(samples, "data", (64, 48), "tiles") == whole
    assert {file.name: file.read_bytes() for file in whole.iterdir()} == expected
    assert decoded == ["4"] or sorted(decoded) == ["3", "4"]


def test_a_killed_preparation_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = written(tmp_path / "set", USUAL)
    code = """
import os, pickle, signal, sys
from segstudy.data import prepared_writer, sample_files
from segstudy.data.prepared import prepare
sample_files.MANY_BYTES, prepared_writer.EVERY_BYTES = 1, 200_000
def killed(done):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
prepare(pickle.loads(bytes.fromhex(sys.argv[1])), "data", (64, 48), "tiles", progress=killed)
"""
    ended = subprocess.run([sys.executable, "-c", code, pickle.dumps(samples).hex()], check=False)
    assert ended.returncode == -signal.SIGKILL
    monkeypatch.setattr(sample_files, "MANY_BYTES", 1)
    tiled = open_prepared(prepare(samples, "data", (64, 48), "tiles"), WINDOWING)
    for position, sample in enumerate(samples):
        same(tiled, position, sample, USUAL, FULL)


def test_few_large_images_are_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = written(tmp_path / "set", USUAL, sizes=((100, 100),) * 12)
    begun: list[int] = []
    most: list[int] = []
    original = sample_files.read_image

    def noting(source, **kwargs):
        begun.append(1)
        return original(source, **kwargs)

    monkeypatch.setattr(sample_files, "read_image", noting)
    monkeypatch.setattr(sample_files, "MAX_PIXELS_AT_ONCE", 30_000)
    prepare(samples, "data", (64, 48), "tiles", progress=lambda done: most.append(len(begun) - done))
    assert max(most) <= 4


def test_an_image_that_is_changed_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = written(tmp_path / "set", USUAL)
    monkeypatch.setattr(sample_files, "image_size", lambda _: (300, 300))
    with pytest.raises(UserError, match="was changed while it was read"):
        prepare(samples, "data", (64, 48), "tiles")
