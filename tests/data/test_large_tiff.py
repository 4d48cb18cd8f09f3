"""TIFFs that are read by rows: the same pixels as of the whole file, however they are stored."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiff_writer import tiff
from tiled_models import picture

from segstudy.core.intensity import FULL, Scale, between
from segstudy.data import large_tiff
from segstudy.data.image_errors import ImageError
from segstudy.data.images import read_image
from segstudy.data.large_tiff import is_large_tiff, open_large_tiff

pytest.importorskip("imagecodecs", reason="imagecodecs decodes TIFFs by window")
RGB = picture(150, 203)
DEEP = (picture(150, 203).astype(np.uint16) * 257) ^ 3
TILES = {"tile": (64, 48)}

STORED = {
    "one strip": (RGB, {"rowsperstrip": 150}),
    "strips": (RGB, {"rowsperstrip": 11}),
    "strips of one row": (RGB[..., 0], {"rowsperstrip": 1, "compression": "packbits"}),
    "tiles": (RGB, TILES),
    "LZW": (RGB, TILES | {"compression": "lzw", "predictor": True}),
    "deflate": (RGB, TILES | {"compression": "deflate"}),
    "strips of deflate": (RGB, {"rowsperstrip": 40, "compression": "zlib", "predictor": 2}),
    "zstd": (RGB, TILES | {"compression": "zstd"}),
    "JPEG": (RGB, TILES | {"compression": "jpeg"}),
    "strips of JPEG": (RGB, {"rowsperstrip": 32, "compression": "jpeg"}),
    "grey JPEG": (RGB[..., 0], TILES | {"compression": "jpeg"}),
    "RGB in JPEG": (RGB, TILES | {"compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}}),
    "planes": (np.moveaxis(RGB, -1, 0), TILES | {"planarconfig": "separate"}),
    "planes of strips": (
        np.moveaxis(RGB, -1, 0),
        {"planarconfig": "separate", "rowsperstrip": 13, "compression": "lzw"},
    ),
    "grey": (RGB[..., 0], TILES),
    "white is zero": (RGB[..., 0], TILES | {"photometric": "miniswhite"}),
    "highest byte first": (DEEP[..., 0], TILES | {"byteorder": ">"}),
    "16 bits": (DEEP, TILES | {"compression": "lzw", "predictor": True}),
    "16 bits in planes": (np.moveaxis(DEEP, -1, 0), TILES | {"planarconfig": "separate"}),
    "BigTIFF": (RGB, TILES | {"bigtiff": True, "compression": "deflate"}),
    "alpha": (np.dstack([RGB, RGB[..., 0]]), TILES | {"extrasamples": ["unassalpha"]}),
    "associated alpha": (
        np.dstack([RGB // 2, np.full(RGB.shape[:2], 128, np.uint8)]),
        TILES | {"extrasamples": ["assocalpha"]},
    ),
    "palette": (
        RGB[..., 0],
        TILES
        | {
            "photometric": "palette",
            "colormap": np.random.default_rng(0).integers(0, 65536, (3, 256), np.uint16),
        },
    ),
}


def written(file: Path, pixels: np.ndarray, **options: object) -> Path:
    is_colour = pixels.ndim == 3
    tifffile.imwrite(file, pixels, **{"photometric": "rgb" if is_colour else "minisblack"} | options)
    return file


def all_rows(file: Path, scale: Scale = FULL, height: int = 70, step: int = 48) -> np.ndarray:
    """The image as windows of that height see it, whose first rows are that far apart."""
    found = []
    with open_large_tiff(file, scale) as image:
        last = max(0, image.native[0] - height)
        for top in (*range(0, last, step), last):
            rows = image.rows(top, min(top + height, image.native[0]))
            done = sum(map(len, found))
            found.append(rows[done - top :].copy())
    return np.concatenate(found)


@pytest.mark.parametrize("name", STORED)
def test_rows_are_those_of_the_whole_image(tmp_path: Path, name: str) -> None:
    pixels, options = STORED[name]
    file = written(tmp_path / "a.tif", pixels, **options)
    assert np.array_equal(all_rows(file), read_image(file))


@pytest.mark.parametrize(
    "scale", [between(0, 40_000), between(1000, 3000), Scale(channels=1), Scale("range", 0, 255, 1)]
)
def test_values_become_bytes_by_the_scale(tmp_path: Path, scale: Scale) -> None:
    file = written(tmp_path / "a.tif", DEEP[..., 0], tile=(64, 48))
    assert np.array_equal(all_rows(file, scale), read_image(file, scale=scale))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_channels_are_all_bands(tmp_path: Path, planar: str) -> None:
    bands = np.random.default_rng(0).integers(0, 4096, (90, 75, 5), np.uint16)
    stored = np.moveaxis(bands, -1, 0) if planar == "separate" else bands
    file = written(tmp_path / "a.tif", stored, planarconfig=planar, photometric="minisblack", tile=(32, 32))
    scale = Scale("range", 0, 4095, 5, is_of_model=True)
    assert np.array_equal(all_rows(file, scale), read_image(file, scale=scale))
    with pytest.raises(ImageError, match="5 channels, and the model takes images with 4"):
        all_rows(file, Scale(channels=4, is_of_model=True))


@pytest.mark.parametrize("kind", ["pages", "subifds"])
def test_of_a_pyramid_the_full_resolution_is_read(tmp_path: Path, kind: str) -> None:
    levels = [np.ascontiguousarray(RGB[::step, ::step]) for step in (1, 2, 4)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for i, level in enumerate(levels):
            more = {"subifds": 2} if kind == "subifds" and not i else {}
            writer.write(level, tile=(32, 32), photometric="rgb", subfiletype=int(i > 0), **more)
    assert np.array_equal(all_rows(tmp_path / "a.tif"), RGB)


def test_a_strip_too_tall_for_memory_is_read_some_rows_at_a_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(large_tiff, "MAX_PART_BYTES", 80_000)
    file = written(tmp_path / "a.tif", RGB, rowsperstrip=150)
    assert np.array_equal(all_rows(file), RGB)
    file = written(tmp_path / "b.tif", DEEP, rowsperstrip=120, byteorder=">")
    assert np.array_equal(all_rows(file), read_image(file))
    packed = written(tmp_path / "c.tif", RGB, rowsperstrip=150, compression="lzw")
    with pytest.raises(ImageError, match="a strip or tile of it has 0 MB, so it cannot be read by window"):
        all_rows(packed)


def test_only_what_does_not_fit_is_large(tmp_path: Path, monkeypatch) -> None:
    file = written(tmp_path / "a.tif", RGB)
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    assert not is_large_tiff(file)
    monkeypatch.setattr(large_tiff, "MAX_PIXELS", 150 * 203 - 1)
    assert is_large_tiff(file)
    assert is_large_tiff(written(tmp_path / "big.tif", RGB, bigtiff=True, byteorder=">"))
    assert not is_large_tiff(tmp_path / "b.png")
    assert not is_large_tiff(tmp_path / "missing.tif")
    monkeypatch.setattr(large_tiff, "MAX_PIXELS", 10**9)
    monkeypatch.setattr(large_tiff, "MAX_BYTES", 150 * 203 * 6 - 1)
    assert not is_large_tiff(file)
    assert is_large_tiff(written(tmp_path / "deep.tif", DEEP))


def refusal(file: Path) -> str:
    with pytest.raises(ImageError) as refused:
        all_rows(file)
    return refused.value.detail


def test_what_cannot_be_read_by_rows_is_refused_with_a_reason(tmp_path: Path) -> None:
    stack = np.stack([RGB[..., 0]] * 3)
    assert "holds 3 pages" in refusal(written(tmp_path / "a.tif", stack, photometric="minisblack"))
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[:50, :60].copy(), photometric="rgb")
    assert "holds 2 pages" in refusal(tmp_path / "b.tif")
    turned = written(tmp_path / "c.tif", RGB, extratags=[(274, "H", 1, 6, True)])
    assert "turned or mirrored" in refusal(turned)
    other = written(tmp_path / "d.tif", RGB, compression="webp", tile=(64, 64))
    assert "is compressed as WEBP" in refusal(other)
    assert "64 bits" in refusal(written(tmp_path / "e.tif", RGB[..., 0].astype(np.float64)))
    assert "only 203 x 7 pixels" in refusal(written(tmp_path / "f.tif", RGB[:7]))


def test_a_damaged_file_is_an_error_of_a_line(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.tif", RGB, tile=(64, 48), compression="deflate").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    assert "copy or export the file again" in refusal(tmp_path / "cut.tif")
    rng = np.random.default_rng(0)
    said = []
    for _ in range(150):
        content = bytearray(whole)
        for at in rng.integers(8, len(content), 8):
            content[at] = rng.integers(256)
        (tmp_path / "b.tif").write_bytes(content)
        try:
            all_rows(tmp_path / "b.tif")
        except ImageError as error:
            said.append(error.detail)
    assert len(said) > 20
    assert not any("\n" in each for each in said)


def test_a_jpeg_larger_than_its_tile_is_not_decoded(tmp_path: Path) -> None:
    file = written(tmp_path / "a.tif", RGB, tile=(64, 48), compression="jpeg")
    content = bytearray(file.read_bytes())
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    file.write_bytes(content)
    assert "a JPEG is larger than its strip or tile" in refusal(file)


def test_tiles_that_are_not_stored_are_counted(tmp_path: Path, caplog) -> None:
    file = written(tmp_path / "a.tif", RGB, tile=(64, 48))
    with tifffile.TiffFile(file, mode="r+b") as opened:
        sizes = list(opened.pages[0].databytecounts)
        sizes[0] = sizes[3] = 0
        opened.pages[0].tags[325].overwrite(sizes)
    with open_large_tiff(file, FULL) as image:
        rows = image.rows(0, 150).copy()
        image.say_what_is_odd()
    assert not rows[:64, :48].any()
    assert np.array_equal(rows[64:], RGB[64:])
    assert "2 tiles not stored in the file; their values count as 0" in caplog.text


def test_values_that_hardly_fit_the_models_scale_are_said_once_of_the_whole_image(
    tmp_path: Path, caplog
) -> None:
    dark = np.full((150, 203), 900, np.uint16)
    scale = Scale(channels=1, is_of_model=True)
    file = written(tmp_path / "a.tif", dark, tile=(64, 48))
    read_image(file, scale=scale)
    expected = caplog.messages[-1]
    caplog.clear()
    with open_large_tiff(file, scale) as image:
        image.rows(0, 150)
        assert caplog.messages == []
        image.say_what_is_odd()
    assert caplog.messages == [expected]
    dark[140, 3] = 40_000
    written(file, dark, tile=(64, 48))
    caplog.clear()
    with open_large_tiff(file, scale) as image:
        image.rows(0, 150)
        image.say_what_is_odd()
    assert caplog.messages == []


def test_missing_packages_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(large_tiff, "not_installed", lambda *_: ["imagecodecs"])
    (tmp_path / "a.tif").write_bytes(tiff(RGB))
    assert "pip install 'segstudy[large]'" in refusal(tmp_path / "a.tif")
