import pickle
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, header_of_png, save
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import MaskMeaning
from segstudy.data.images import ImageError, image_size, read_image
from segstudy.data.mask_pixels import MaskPixels
from segstudy.data.masks import classified, read_mask

FORMATS = ("png", "jpg", "bmp", "tif", "TIFF", "JPEG")
RED, BLACK, WHITE, GREEN = (255, 0, 0), (0, 0, 0), (255, 255, 255), (0, 255, 0)


def with_exif(pixels: np.ndarray, orientation: int, path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


# Images


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_decodes_to_rgb(tmp_path: Path, suffix: str) -> None:
    image, _ = disc(0)
    path = save(tmp_path / f"a.{suffix}", image)
    decoded = read_image(path)
    assert decoded.shape == (*image_size(path), 3)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - image).mean() < (0.1 if suffix.lower() not in ("jpg", "jpeg") else 25)


def test_grey_gives_three_equal_channels(tmp_path: Path) -> None:
    grey = disc(0)[0][..., 0]
    assert (read_image(save(tmp_path / "a.png", grey)) == grey[..., None]).all()


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    decoded = read_image(save(tmp_path / "a.png", grey * 257))
    assert (decoded[..., 0] == grey).all()


def test_transparent_areas_become_black_and_opaque_ones_stay(tmp_path: Path) -> None:
    rgba = np.full((10, 10, 4), 200, np.uint8)
    rgba[:5, :, 3], rgba[5:, :, 3] = 0, 255
    decoded = read_image(save(tmp_path / "a.png", rgba))
    assert (decoded[:5] == 0).all()
    assert (decoded[5:] == 200).all()


@pytest.mark.parametrize("mode", ["P", "CMYK", "LA", "1", "YCbCr"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tif" if mode in ("CMYK", "YCbCr") else tmp_path / "a.png"
    Image.fromarray(disc(0)[0]).convert(mode).save(path)
    assert read_image(path).shape == (24, 32, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_images_masks_and_sizes(tmp_path: Path, orientation: int) -> None:
    image, mask = disc(0)
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90,
    }
    photo = with_exif(image, orientation, tmp_path / "a.png")
    truth = with_exif(mask.astype(np.uint8) * 255, orientation, tmp_path / "m.png")
    assert (read_image(photo) == turns[orientation](image)).all()
    assert (read_mask(truth) == turns[orientation](mask)).all()
    assert image_size(photo) == turns[orientation](mask).shape


def test_an_orientation_that_is_none_is_ignored(tmp_path: Path) -> None:
    assert read_image(with_exif(disc(0)[0], 99, tmp_path / "a.jpg")).shape == (24, 32, 3)


# Unusable files


def unusable(tmp_path: Path, how: str) -> Path:
    whole = save(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8))
    path = tmp_path / "bad.png"
    content = {
        "empty": b"",
        "text": b"not an image at all",
        "truncated": whole.read_bytes()[:3000],
        "header only": whole.read_bytes()[:20],
        "damaged": whole.read_bytes()[:500] + b"\0" * 200 + whole.read_bytes()[700:],
    }
    if how == "tiny":
        return save(path, np.zeros((1, 1), np.uint8))
    if how == "7 pixels":
        return save(path, np.zeros((7, 100), np.uint8))
    if how in content:
        path.write_bytes(content[how])
    if how == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "how", ["missing", "empty", "text", "truncated", "header only", "damaged", "tiny", "7 pixels", "folder"]
)
@pytest.mark.parametrize("decode", [read_image, read_mask])
def test_an_unusable_file_is_one_line_with_its_name_and_a_remedy(
    tmp_path: Path, how: str, decode: Callable[[Path], object]
) -> None:
    path = unusable(tmp_path, how)
    with pytest.raises(UserError) as caught:
        decode(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert ";" in message, "what to do follows what is wrong"


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_000, 10_001), (1_000_000, 1_000)])
def test_an_oversized_image_is_refused_from_its_header(tmp_path: Path, width: int, height: int) -> None:
    path = header_of_png(tmp_path / "big.png", width, height)
    start = time.perf_counter()
    for decode in (read_image, read_mask, image_size):
        with pytest.raises(ImageError, match="100 million pixels") as caught:
            decode(path)
        assert caught.value.kind == "oversized"
    assert time.perf_counter() - start < 0.5


def test_eight_pixels_a_side_are_enough(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.png", np.zeros((8, 8), np.uint8))).shape == (8, 8, 3)


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((10, 10), np.float32)).save(path)
    with pytest.raises(ImageError, match="32-bit"):
        read_image(path)


def test_errors_survive_the_way_between_processes(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "no.png")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.kind) == (str(caught.value), "unreadable")


# Masks


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 38), (3, 200), (254, 255)])
def test_of_two_values_the_larger_is_foreground(tmp_path: Path, values: tuple[int, int]) -> None:
    mask = disc(0)[1]
    path = save(tmp_path / "m.png", np.where(mask, values[1], values[0]).astype(np.uint8))
    assert (read_mask(path) == mask).all()


@pytest.mark.parametrize(("value", "full"), [(0, False), (1, True), (128, True), (255, True)])
def test_a_constant_mask_is_empty_or_full(tmp_path: Path, value: int, full: bool) -> None:
    assert (read_mask(save(tmp_path / "m.png", np.full((9, 9), value, np.uint8))) == full).all()


@pytest.mark.parametrize("value", [2, 38, 127])
def test_a_constant_mask_in_between_is_refused(tmp_path: Path, value: int) -> None:
    with pytest.raises(ImageError, match=f"every pixel is {value}"):
        read_mask(save(tmp_path / "m.png", np.full((9, 9), value, np.uint8)))


def test_a_jpeg_mask_is_cut_at_128(tmp_path: Path) -> None:
    mask = disc(0, (96, 128))[1]
    path = tmp_path / "m.jpg"
    Image.fromarray(mask.astype(np.uint8) * 255).save(path, quality=75)
    assert (read_mask(path) == mask).mean() > 0.995


@pytest.mark.parametrize(("rows_of_grey", "refused"), [(5, False), (6, True)])
def test_more_than_five_percent_of_grey_is_refused(tmp_path: Path, rows_of_grey: int, refused: bool) -> None:
    values = np.zeros((100, 100), np.uint8)
    values[50:] = 255
    values[:rows_of_grey] = np.linspace(32, 223, 100).astype(np.uint8)
    path = save(tmp_path / "m.png", values)
    if not refused:
        assert (read_mask(path) == (values >= 128)).all()
        return
    with pytest.raises(ImageError, match="6 % of the pixels are grey"):
        read_mask(path)


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 1, 255), (0, 128, 255), (5, 7, 9), (0, 60, 120)])
def test_a_mask_of_several_classes_is_refused_with_its_values(
    tmp_path: Path, values: tuple[int, ...]
) -> None:
    classes = np.repeat(np.array(values, np.uint8), 100).reshape(15, 20)
    path = save(tmp_path / "m.png", classes)
    with pytest.raises(ImageError, match=", ".join(map(str, values))) as caught:
        read_mask(path)
    assert "foreground=" in str(caught.value)
    assert (read_mask(path, MaskMeaning(foreground=(values[1],))) == (classes == values[1])).all()
    assert (read_mask(path, MaskMeaning(foreground=(values[1], values[2]))) == (classes != values[0])).all()


def test_a_colour_mask_whose_channels_agree_is_read(tmp_path: Path) -> None:
    mask = disc(0)[1]
    rgb = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255
    for name in ("m.bmp", "m.jpg"):
        assert (read_mask(save(tmp_path / name, rgb)) == mask).mean() > 0.99


def test_of_two_colours_the_brighter_is_foreground(tmp_path: Path) -> None:
    mask = disc(0)[1]
    path = save(tmp_path / "m.png", np.where(mask[..., None], RED, BLACK).astype(np.uint8))
    assert (read_mask(path) == mask).all()


@pytest.mark.parametrize("colours", [(BLACK, RED, WHITE), (RED, GREEN)])
def test_three_colours_or_equally_bright_ones_are_refused(
    tmp_path: Path, colours: tuple[tuple[int, ...], ...]
) -> None:
    rgb = np.array(colours, np.uint8)[np.arange(300).reshape(15, 20) % len(colours)]
    with pytest.raises(ImageError, match=f"{len(colours)} colours.*255, 0, 0"):
        read_mask(save(tmp_path / "m.png", rgb))


def test_a_palette_of_greys_counts_by_grey_and_one_of_colours_by_number(tmp_path: Path) -> None:
    mask = disc(0)[1]
    for name, palette, indices in (
        ("white first", [255, 255, 255, 0, 0, 0], ~mask),
        ("black and red", [0, 0, 0, 128, 0, 0], mask),
    ):
        image = Image.fromarray(indices.astype(np.uint8), "L").copy()
        image.putpalette(palette)
        image.save(tmp_path / f"{name}.png")
        assert (read_mask(tmp_path / f"{name}.png") == mask).all(), name


def test_a_one_bit_mask_is_read(tmp_path: Path) -> None:
    mask = disc(0)[1]
    Image.fromarray(mask).convert("1").save(tmp_path / "m.bmp")
    assert (read_mask(tmp_path / "m.bmp") == mask).all()


def test_masks_of_16_and_32_bits(tmp_path: Path) -> None:
    mask = disc(0)[1]
    for values in (
        mask.astype(np.uint16) * 65535,
        mask.astype(np.uint16),
        mask.astype(np.float32),
        mask * 70_000,
    ):
        Image.fromarray(values.astype(np.int32) if values.dtype == np.int64 else values).save(
            tmp_path / "m.tif"
        )
        assert (read_mask(tmp_path / "m.tif") == mask).all()
    Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)).save(tmp_path / "soft.tif")
    with pytest.raises(ImageError, match="probabilities"):
        read_mask(tmp_path / "soft.tif")


def test_an_opaque_alpha_channel_is_dropped_and_another_refused(tmp_path: Path) -> None:
    mask = disc(0)[1]
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    Image.merge("LA", (grey, Image.new("L", grey.size, 255))).save(tmp_path / "opaque.png")
    Image.merge("LA", (grey, grey)).save(tmp_path / "cut out.png")
    assert (read_mask(tmp_path / "opaque.png") == mask).all()
    with pytest.raises(ImageError, match="transparent"):
        read_mask(tmp_path / "cut out.png")


@settings(max_examples=50, deadline=None)
@given(
    mask=hnp.arrays(np.bool_, (9, 11)).filter(lambda m: m.any() and not m.all()),
    low=st.integers(0, 254),
    gap=st.integers(1, 255),
)
def test_any_two_values_give_back_the_mask(mask: np.ndarray, low: int, gap: int) -> None:
    high = min(255, low + gap)
    values = np.where(mask, high, low).astype(np.uint8)
    assert (classified(MaskPixels(values), Path("m.png")) == mask).all()


def test_ph2_decodes_in_seconds(ph2_folder: Path) -> None:
    start = time.perf_counter()
    for image in sorted(ph2_folder.glob("*/IMD*/*_Dermoscopic_Image/*.bmp")):
        mask = image.parents[1] / f"{image.stem}_lesion" / f"{image.stem}_lesion.bmp"
        assert read_image(image).shape[:2] == read_mask(mask).shape == image_size(image)
    assert time.perf_counter() - start < 10, "1 s on an idle core"


def test_no_file_reaches_an_interpreter_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow knows PostScript by its content and starts Ghostscript for it."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", started)
    file = tmp_path / "evil.png"
    Image.new("RGB", (40, 40)).save(file, "EPS")
    for read in (read_image, read_mask):
        with pytest.raises(ImageError, match="not an image"):
            read(file)


@pytest.mark.parametrize("kind", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_in_the_header_is_that_of_the_decoded_image(tmp_path, kind, orientation) -> None:
    file, exif = tmp_path / f"x.{kind}", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(file, exif=exif)
    assert image_size(file) == read_image(file).shape[:2]


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is Linux's to tell"
)
def test_decoding_takes_no_more_than_the_image_and_its_pixels(tmp_path: Path) -> None:
    """16 megapixels of 16-bit RGBA: 4 bytes a pixel in Pillow and 3 for the result; it was 22 together."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 4000
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0))
    rows = zlib.compress(bytes(side * (side * 8 + 1)), 1)
    (tmp_path / "x.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    code = """
import re, sys
from pathlib import Path
from segstudy.data.images import read_image
status = lambda name: int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
pixels = read_image(Path(sys.argv[1]))
assert not pixels.any()
print((status("VmHWM") - before) / pixels[..., 0].size)
"""
    words = [sys.executable, "-c", code, str(tmp_path / "x.png")]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 3 < float(found.stdout) < 9
