"""Images with other numbers of channels than three: decoding, resizing, preparing, augmenting."""

import io
import itertools
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from medical_writers import save_dicom, save_nifti
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.core.intensity import AUTO, FULL, Scale, between
from segstudy.data.augment import augment, changes_of
from segstudy.data.channels import picture_of
from segstudy.data.check import examine
from segstudy.data.datasets import read
from segstudy.data.images import ImageError, decode_bytes, decode_image, image_size, read_image
from segstudy.data.mask_pixels import decode_mask
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.preprocess import image_to_network
from segstudy.data.sources import Frame
from segstudy.data.survey import summary, survey
from segstudy.data.thumbnails import small_image
from segstudy.data.tiff_bands import bands_of

rng = np.random.default_rng(0)
TWELVE_BITS = rng.integers(0, 4096, (20, 30, 4)).astype(np.uint16)


def of(channels: int, scale: Scale = FULL) -> Scale:
    return replace(scale, channels=channels)


def tiff(values: np.ndarray, **options: object) -> bytes:
    """A TIFF of bands ``(H, W, C)`` that none is called red, green or blue of, as tifffile writes it."""
    options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None} | options
    stream = io.BytesIO()
    if values.shape[2] == 1:
        values, options["planarconfig"] = values[..., 0], None
    ordered = np.moveaxis(values, 2, 0) if options["planarconfig"] == "separate" else values
    tifffile.imwrite(stream, ordered, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "u4", "f4", "f8"])
def test_bands_are_those_that_tifffile_wrote(kind: str):
    for bands, planes, packed, tile, order in itertools.product(
        (2, 4, 6), ("contig", "separate"), (None, "zlib", "lzma"), (None, (16, 32)), "<>"
    ):
        values = (rng.normal(size=(21, 45, bands)) * 1000).astype(kind)
        differences = packed is not None and kind[0] != "f"
        content = tiff(
            values.astype(np.dtype(kind).newbyteorder(order)),
            planarconfig=planes,
            compression=packed,
            predictor=2 if differences else None,
            tile=tile,
            byteorder=order,
            rowsperstrip=None if tile else 8,
            bigtiff=order == "<",
        )
        found = bands_of(content)
        assert found.dtype == np.dtype(kind)
        np.testing.assert_array_equal(found, values)


def test_a_tiff_of_bands_is_upright(tmp_path: Path):
    file = tmp_path / "turned.tif"
    file.write_bytes(tiff(TWELVE_BITS, extratags=[(274, 3, 1, 6, True)]))
    assert image_size(file) == (30, 20)
    found = read_image(file, scale=of(4, between(0, 4095)))
    plain = tmp_path / "plain.tif"
    plain.write_bytes(tiff(TWELVE_BITS))
    np.testing.assert_array_equal(found, np.rot90(read_image(plain, scale=of(4, between(0, 4095))), -1))


def test_one_scale_holds_for_all_channels(tmp_path: Path):
    file = tmp_path / "a.tif"
    file.write_bytes(tiff(TWELVE_BITS))
    found = read_image(file, scale=of(4, between(0, 4095)))
    np.testing.assert_array_equal(found, np.rint(TWELVE_BITS * (255 / 4095)).astype(np.uint8))
    np.testing.assert_array_equal(read_image(file, scale=of(4)), np.rint(TWELVE_BITS / 257).astype(np.uint8))
    _, over_a_wire = decode_bytes(file.read_bytes(), lambda _: None, of(4, between(0, 4095)))
    np.testing.assert_array_equal(over_a_wire, found)


def test_the_first_three_bands_are_those_of_an_rgb_image(tmp_path: Path):
    file = tmp_path / "rgbn.tif"
    file.write_bytes(tiff(TWELVE_BITS, photometric="rgb", extrasamples=[0]))
    scale = between(0, 4095)
    np.testing.assert_array_equal(
        read_image(file, scale=of(4, scale))[..., :3], read_image(file, scale=scale)
    )


@pytest.mark.parametrize(("channels", "has"), [(1, 4), (5, 4), (64, 4)])
def test_another_number_of_channels_is_refused(channels: int, has: int, tmp_path: Path):
    file = tmp_path / "rgba.png"
    Image.fromarray(rng.integers(0, 256, (20, 30, has)).astype(np.uint8)).save(file)
    with pytest.raises(ImageError, match=f"--channels {channels} asks for {channels}; choose --channels"):
        read_image(file, scale=of(channels))


def deep_grey_with_alpha(values: np.ndarray) -> bytes:
    """A PNG of 16 bits, grey and alpha ``(H, W, 2)``, which Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def test_grey_with_alpha_has_two_channels_of_8_and_of_16_bits(tmp_path: Path):
    """Of 16 bits it counted as four, three of which were the same grey."""
    values = rng.integers(0, 65536, (20, 30, 2)).astype(np.uint16)
    deep, plain = tmp_path / "deep.png", tmp_path / "plain.png"
    deep.write_bytes(deep_grey_with_alpha(values))
    Image.fromarray((values >> 8).astype(np.uint8), "LA").save(plain)
    found = read_image(deep, scale=of(2))
    np.testing.assert_array_equal(found, np.rint(values / 257).astype(np.uint8))
    np.testing.assert_array_equal(read_image(plain, scale=of(2)), (values >> 8).astype(np.uint8))
    for file in (deep, plain):
        with pytest.raises(ImageError, match="has 2 channels"):
            read_image(file, scale=of(4))


def test_a_model_refuses_images_of_another_number_of_channels(tmp_path: Path):
    file = tmp_path / "a.tif"
    file.write_bytes(tiff(TWELVE_BITS))
    with pytest.raises(ImageError, match="has 4 channels, and the model takes images with 6"):
        read_image(file, scale=of(6).of_model())


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("bands", [2, 4, 6])
def test_a_model_that_reads_names_no_option_of_check(bands: int, number: int, tmp_path: Path):
    """`predict` and `evaluate` have no `--channels`: a model takes the images that it was trained on."""
    file = tmp_path / "a.tif"
    file.write_bytes(tiff(np.zeros((20, 30, bands), np.uint16)))
    with pytest.raises(ImageError, match=f"the model takes images with {number} channel") as refused:
        read_image(file, scale=of(number).of_model())
    assert "--" not in str(refused.value)


def test_a_model_that_reads_numbers_of_unknown_range_names_no_option(tmp_path: Path):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.zeros((20, 30), np.float32))
    with pytest.raises(ImageError, match="the model was trained on others") as refused:
        read_image(file, scale=of(3).of_model())
    assert "--" not in str(refused.value)


def test_bands_without_the_option_are_refused_with_the_choices(tmp_path: Path):
    (tmp_path / "six.tif").write_bytes(tiff(np.zeros((20, 30, 6), np.uint8)))
    (tmp_path / "four.tif").write_bytes(tiff(TWELVE_BITS))
    for name, number in (("six", 6), ("four", 4)):
        with pytest.raises(ImageError, match=f"RGB image, or take all of an image with --channels {number}"):
            read_image(tmp_path / f"{name}.tif")


def test_three_bands_without_colours_are_no_case_for_the_option(tmp_path: Path):
    (tmp_path / "three.tif").write_bytes(tiff(TWELVE_BITS[..., :3]))
    with pytest.raises(ImageError, match=r"save them as an RGB image$"):
        read_image(tmp_path / "three.tif")


def test_a_png_with_alpha_gives_its_four_channels_as_they_are(tmp_path: Path):
    pixels = rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png", scale=of(4)), pixels)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_grey_images_have_one_channel_that_is_each_of_the_three(suffix: str, tmp_path: Path):
    file, as_colours = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    grey = Image.fromarray(rng.integers(0, 256, (20, 30)).astype(np.uint8))
    grey.save(file)
    grey.convert("RGB").save(as_colours)
    for each in (file, as_colours):
        np.testing.assert_array_equal(read_image(each, scale=of(1)), read_image(each)[..., :1])
        assert decode_image(each).levels.is_grey


def test_sixteen_bits_of_grey_have_one_channel(tmp_path: Path):
    Image.fromarray(TWELVE_BITS[..., 0]).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", scale=of(1, between(0, 4095)))
    np.testing.assert_array_equal(found[..., 0], np.rint(TWELVE_BITS[..., 0] * (255 / 4095)).astype(np.uint8))


def test_an_image_in_colour_is_refused_as_one_channel(tmp_path: Path):
    Image.fromarray(rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is in colour: has 3 channels"):
        read_image(tmp_path / "a.png", scale=of(1))


def test_numbers_that_are_none_are_refused(tmp_path: Path):
    values = np.ones((20, 30, 5), np.float32)
    (tmp_path / "a.tif").write_bytes(tiff(values))
    with pytest.raises(ImageError, match="range is not known"):
        read_image(tmp_path / "a.tif", scale=of(5))
    values[0, 0, 4] = np.nan
    (tmp_path / "a.tif").write_bytes(tiff(values))
    with pytest.raises(ImageError, match="NaN"):
        read_image(tmp_path / "a.tif", scale=of(5, between(0, 1)))


def test_more_bytes_than_memory_may_hold_are_refused_before_they_are_read(tmp_path: Path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(tiff(TWELVE_BITS))
    monkeypatch.setattr("segstudy.data.channels.MAX_BYTES", 20 * 30 * 4 * 2 - 1)
    monkeypatch.setattr("segstudy.data.channels.bands_of", None)
    with pytest.raises(ImageError, match="bytes of 4 channels; scale it down"):
        read_image(tmp_path / "a.tif", scale=of(4))


def test_channels_that_are_stored_as_pages_are_refused(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(TWELVE_BITS, 2, 0), photometric="minisblack")
    with pytest.raises(ImageError, match=r"4 pages or frames.*, or channels as bands of one page"):
        read_image(tmp_path / "a.tif", scale=of(4))


@pytest.mark.parametrize("packed", [None, "zlib"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["u2", "i2", "i4", "f4"])
def test_grey_numbers_are_those_that_tifffile_wrote_or_refused(
    kind: str, order: str, packed: str | None, tmp_path
):
    """Pillow 13.0 turns the bytes of some twice, and says nothing."""
    values = (rng.random((20, 30)) * 1000).astype(kind)
    file = tmp_path / "a.tif"
    tifffile.imwrite(
        file, values.astype(np.dtype(kind).newbyteorder(order)), byteorder=order, compression=packed
    )
    if order == ">" and packed and kind != "u2":
        for read_it in (read_image, decode_mask):
            with pytest.raises(ImageError, match="highest byte first; save it without compression"):
                read_it(file)
    else:
        found = read_image(file, scale=between(0, 1000))
        np.testing.assert_array_equal(found[..., 0], np.rint(values * (255 / 1000)).astype(np.uint8))


def test_dicom_and_nifti_have_one_channel(tmp_path: Path):
    pixels = TWELVE_BITS[..., 0]
    save_dicom(tmp_path / "a.dcm", pixels)
    save_nifti(tmp_path / "a.nii", np.stack([pixels, pixels], axis=2).astype(np.int16))
    for source in (tmp_path / "a.dcm", Frame(tmp_path / "a.nii", 1)):
        scale = between(0, 4095)
        found = read_image(source, scale=of(1, scale))
        np.testing.assert_array_equal(found, read_image(source, scale=scale)[..., :1])
        with pytest.raises(ImageError, match="has 1 channel"):
            read_image(source, scale=of(4, scale))


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")  # as in ``images``
def test_a_damaged_tiff_of_bands_is_one_line(tmp_path: Path):
    content = tiff(rng.integers(0, 256, (20, 30, 6)).astype(np.uint8), compression="zlib")
    for cut in range(0, len(content), 97):
        (tmp_path / "a.tif").write_bytes(content[:cut])
        with pytest.raises(ImageError):
            read_image(tmp_path / "a.tif", scale=of(6))


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_each_channel_is_resized_as_a_grey_image_is(channels: int, resize: str):
    pixels = rng.integers(0, 256, (40, 60, channels)).astype(np.uint8)
    found = image_to_network(pixels, (32, 32), resize)
    for i in range(channels):
        grey = np.repeat(pixels[..., i : i + 1], 3, axis=2)
        np.testing.assert_array_equal(found[..., i], image_to_network(grey, (32, 32), resize)[..., 0])


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_brightness_and_contrast_alone_are_changed_where_channels_are_no_colours(channels: int):
    image, target = torch.rand(3, channels, 32, 32), torch.zeros(3, 1, 32, 32)
    changes = changes_of(["a", "b", "c"], 0, 0)
    changes[:, 2], changes[:, 3] = 0, 1  # neither turned nor scaled
    found, _ = augment(image, target, "full", changes)
    flipped, _ = augment(image, target, "flips", changes)
    mean = flipped.mean(dim=(1, 2, 3), keepdim=True)
    brightness, contrast = (changes[:, i].view(-1, 1, 1, 1) for i in (4, 5))
    wanted = ((flipped - mean) * contrast + mean + brightness).clamp(0, 1)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_a_picture_shows_a_stated_choice():
    one, two, four = (np.arange(n, dtype=np.uint8).reshape(1, 1, n) for n in (1, 2, 4))
    assert picture_of(one).tolist() == [[[0, 0, 0]]]
    assert picture_of(two).tolist() == [[[0, 1, 0]]]
    assert picture_of(four).tolist() == [[[0, 1, 2]]]


def data_set(folder: Path, channels: int, n: int = 4) -> Path:
    """Images ``(20, 30)`` of 12 bits whose last channel shows the foreground."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(n):
        mask = np.zeros((20, 30), np.uint8)
        mask[4 : 12 + i, 5:20] = 255
        values = np.random.default_rng(i).integers(100, 3000, (20, 30, channels)).astype(np.uint16)
        values[..., -1] += (mask > 0) * np.uint16(1000)
        (folder / "images" / f"{i}.tif").write_bytes(tiff(values))
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return folder


def test_a_set_of_four_bands_is_checked_and_prepared(tmp_path: Path):
    dataset = read(data_set(tmp_path / "data", 4))
    found = examine(dataset, scale=of(4, AUTO))
    assert not [each for each in found.problems if each.severity != "note"]
    assert found.intensities.scale == of(4, between(0, 4095))
    lines = summary(survey(dataset.root, scale=of(4, AUTO)))
    assert any(line.startswith("channels: 4; their values: 10") for line in lines)
    prepared = open_prepared(prepare(dataset.samples, "f", (32, 32), "squash", scale=found.intensities.scale))
    assert prepared.images.shape == (4, 32, 32, 4)
    assert small_image(prepared, 0)[:2] == b"\xff\xd8"


def test_pictures_of_four_bands_are_not_written_in_silence(tmp_path: Path):
    data_set(tmp_path / "data", 4)
    with pytest.raises(UserError, match=r"--write: pictures hold .* with 4; leave"):
        survey(tmp_path / "data", scale=of(4, AUTO), write=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_option_every_image_of_bands_is_an_error(tmp_path: Path):
    problems = examine(read(data_set(tmp_path / "data", 4))).problems
    assert [each.severity for each in problems].count("error") == 4
    assert all("--channels 4" in each.detail for each in problems if each.severity == "error")


def test_a_channel_of_which_nothing_is_left_is_a_warning(tmp_path: Path):
    root = data_set(tmp_path / "data", 5)
    for file in (root / "images").iterdir():
        values = bands_of(file.read_bytes())
        scale = np.where(np.arange(5) == 2, 100, 1).astype(np.uint16)
        file.write_bytes(tiff(values // scale))
    (found,) = [each for each in examine(read(root), scale=of(5, AUTO)).problems if "channel" in each.kind]
    assert found.severity == "warning"
    assert found.detail.startswith("channel 3 (1 to 29): at most 16 of 256 grey levels")


def test_a_band_that_is_left_out_is_a_warning_also_of_sixteen_bits(tmp_path: Path):
    root = data_set(tmp_path / "data", 4)
    for file in (root / "images").iterdir():
        file.write_bytes(tiff(bands_of(file.read_bytes()), photometric="rgb", extrasamples=[0]))
    (found,) = [each for each in examine(read(root)).problems if each.kind == "band left out"]
    assert "4 images with 4 bands" in found.detail
    assert "--channels 4 takes all" in found.detail


def test_check_says_that_all_images_are_grey(tmp_path: Path):
    root = data_set(tmp_path / "data", 1)
    lines = summary(survey(root))
    assert "channels: all images are grey, and read as three equal channels; --channels 1 reads one" in lines
    assert "channels: 1" in summary(survey(root, scale=of(1, AUTO)))
