"""Image values become 8 bits by one scale for the whole data set, found from all of its images."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_data import disc, save
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tiff_writer import tiff

from segstudy.core.errors import UserError
from segstudy.core.intensity import AUTO, FULL, Scale, between, parse
from segstudy.data.check import examine
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.image_values import Levels, scaled
from segstudy.data.images import ImageError, decode_bytes, read_image
from segstudy.data.intensity_survey import find_scale, refuse_other_range
from segstudy.data.masks import read_mask
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.samples import Problem

SIDE = (48, 64)
Pixels = NDArray[np.generic]


def grey(n: int) -> NDArray[np.float64]:
    """A picture from 0 to 1; the last of four is half as bright."""
    picture = disc(n, SIDE)[0][..., 0] / 255
    return picture / 2 if n == 3 else picture


def png(pixels: Pixels) -> bytes:
    found, content = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    assert found
    return content.tobytes()


def lzw(pixels: Pixels) -> bytes:
    found, content = cv2.imencode(".tif", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    assert found
    return content.tobytes()


def whole(bits: int, kind: str = "u2") -> Callable[[NDArray[np.float64]], Pixels]:
    return lambda picture: np.rint(picture * (2**bits - 1)).astype(kind)


def colour(picture: Pixels) -> Pixels:
    return np.stack([picture] * 3, axis=2)


def pgm(pixels: Pixels, largest: int) -> bytes:
    return b"P5 %d %d %d\n" % (*SIDE[::-1], largest) + pixels.astype(">u2").tobytes()


def with_alpha(pixels: Pixels, alpha: int) -> Pixels:
    return np.dstack([colour(pixels), np.full(SIDE, alpha, pixels.dtype)])


# How a picture from 0 to 1 is written, and the scale that is found.
WRITERS: dict[str, tuple[Callable[[NDArray[np.float64]], bytes], str]] = {
    "8 bits": (lambda p: png(whole(8, "u1")(p)), "full"),
    "8 bits in colour": (lambda p: png(colour(whole(8, "u1")(p))), "full"),
    "16 bits": (lambda p: png(whole(16)(p)), "full"),
    "16 bits in colour, PNG": (lambda p: png(colour(whole(16)(p))), "full"),
    "16 bits in colour, LZW": (lambda p: lzw(colour(whole(16)(p))), "full"),
    "12 bits in 16": (lambda p: png(whole(12)(p)), "0..4095"),
    "12 bits in 16, TIFF": (lambda p: tiff(whole(12)(p)), "0..4095"),
    "12 bits in 16, in colour": (lambda p: png(colour(whole(12)(p))), "0..4095"),
    "12 bits in 16, in colour, LZW": (lambda p: lzw(colour(whole(12)(p))), "0..4095"),
    "8 bits in planes": (lambda p: tiff(colour(whole(8, "u1")(p)), 2, planes=True), "full"),
    "16 bits in planes": (lambda p: tiff(colour(whole(16)(p)), 2, planes=True), "full"),
    "12 bits in planes": (lambda p: tiff(colour(whole(12)(p)), 2, planes=True), "0..4095"),
    "12 bits in planes, packed": (
        lambda p: tiff(colour(whole(12)(p)), 2, planes=True, packed=True), "0..4095",
    ),
    "12 bits and near infrared, in planes": (
        lambda p: tiff(with_alpha(whole(12)(p), 900), 2, planes=True, extra=0), "0..4095",
    ),
    "12 bits and near infrared": (lambda p: tiff(with_alpha(whole(12)(p), 900), 2, extra=2), "0..4095"),
    "10 bits in 16": (lambda p: tiff(whole(10)(p)), "0..1023"),
    "14 bits in 16": (lambda p: png(whole(14)(p)), "0..16383"),
    "8 bits in 16": (lambda p: tiff(whole(8)(p)), "0..255"),
    "12 bits in PGM": (lambda p: pgm(whole(12)(p), 4095), "0..65535"),
    "white is zero, 8 bits": (lambda p: tiff(255 - whole(8, "u1")(p), 0), "full"),
    "white is zero, 16 bits": (lambda p: tiff(65535 - whole(16)(p), 0), "0..65535"),
    "white is zero, 12 bits": (lambda p: tiff(4095 - whole(12)(p), 0), "61440..65535"),
    "fractions of one": (lambda p: tiff(p.astype("f4")), "0..1"),
    "fractions around zero": (lambda p: tiff((2 * p - 1).astype("f4")), "-1..1"),
    "fractions up to 255": (lambda p: tiff((255 * p).astype("f4")), "0..255"),
    "12 bits as fractions": (lambda p: tiff(whole(12)(p).astype("f4")), "0..4095"),
    "16 bits with sign": (lambda p: tiff(whole(12, "i2")(p) - np.int16(1000)), "data"),
    "8 bits with sign": (lambda p: tiff((whole(8)(p).astype("i2") - 128).astype("i1")), "-128..127"),
    "32 bits": (lambda p: tiff(whole(20, "u4")(p)), "data"),
    "32 bits of small numbers": (lambda p: tiff(whole(12, "i4")(p)), "0..4095"),
    "near infrared as alpha": (lambda p: tiff(with_alpha(whole(8, "u1")(p), 90), 2, extra=2), "0..255"),
    "near infrared as associated alpha": (
        lambda p: tiff(with_alpha(whole(8, "u1")(p), 90), 2, extra=1), "0..255",
    ),
    "a fourth band of no name": (lambda p: tiff(with_alpha(whole(8, "u1")(p), 90), 2, extra=0), "full"),
}  # fmt: skip


def write(folder: Path, name: str, pictures: list[NDArray[np.float64]]) -> Path:
    """A data set of such images, with masks."""
    for n, picture in enumerate(pictures):
        content = WRITERS[name][0](picture)
        suffix = {b"\x89PNG": "png", b"P5 6": "pgm"}.get(content[:4], "tif")
        file = folder / f"images/a{n}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        save(folder / f"masks/a{n}.png", disc(n, SIDE)[1])
    return folder


def of_kinds(problems: list[Problem], *severities: str) -> set[str]:
    return {problem.kind for problem in problems if problem.severity in severities}


@pytest.mark.parametrize("name", WRITERS)
def test_every_way_of_writing_gives_the_same_pictures(tmp_path: Path, name: str) -> None:
    pictures = [grey(n) for n in range(4)]
    dataset = read(write(tmp_path, name, pictures))
    found = examine(dataset)
    assert not of_kinds(found.problems, "error")
    scale = found.intensities.scale
    expected = WRITERS[name][1]
    assert expected == "data" or str(scale) == expected
    got = np.stack([read_image(sample.image, scale=scale) for sample in dataset.samples]).astype(float)
    true = np.stack(pictures)[..., None] * 255
    if expected == "data":  # from the smallest to the largest value of all
        true = (true - true.min()) * 255 / (true.max() - true.min())
    if expected == "61440..65535" or "PGM" in name:
        assert np.abs(got - true).max() <= 1.6
    else:
        assert np.abs(got - true).max() <= 1.01
    for sample in dataset.samples:  # what a server gets
        assert (
            decode_bytes(sample.image.read_bytes(), lambda _: None, scale)[1]
            == read_image(sample.image, scale=scale)
        ).all()


@pytest.mark.parametrize("name", ["8 bits", "8 bits in colour", "16 bits", "16 bits in colour, PNG"])
def test_usual_images_keep_their_pixels(tmp_path: Path, name: str) -> None:
    """As they were before there were scales: 8 bits as they are, 16 bits divided by 257 or cut to 8."""
    pictures = [grey(n) for n in range(4)]
    folder = write(tmp_path, name, pictures)
    assert examine(read(folder)).intensities.scale == FULL
    for n, picture in enumerate(pictures):
        before = {"8": whole(8, "u1")(picture), "1": whole(16)(picture) // 257}[name[0]]
        if "16 bits in colour" in name:
            before = whole(16)(picture) >> 8
        assert (read_image(folder / f"images/a{n}.png")[..., 0] == before).all()


@given(
    low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6),
    kind=st.sampled_from(["u1", "u2", "i2", "i4", "f4"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_scale_keeps_order_and_has_its_ends_at_0_and_255(
    low: float, span: float, kind: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 10.0 ** rng.integers(0, 5), (9, 11)).clip(-30_000, 30_000)
    values = np.abs(values).clip(0, 255 if kind == "u1" else 65535) if kind[0] == "u" else values
    stored = values.astype(kind)
    out = scaled(stored, between(low, low + span))
    assert out.shape == (9, 11, 3)
    ordered = out[..., 0].ravel()[np.argsort(stored.ravel(), kind="stable")]
    assert (np.diff(ordered.astype(int)) >= 0).all()
    assert (out[stored <= low] == 0).all()
    assert (out[stored >= low + span] == 255).all()


@pytest.mark.parametrize("text", ["auto", "full", "0..4095", "-1..1", "0..0.5", "-1000..3000", "0..1e-05"])
def test_a_scale_is_spelled_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text
    assert parse(f" {text.upper()} ") == parse(text)


@pytest.mark.parametrize("text", ["", "4095", "5..5", "9..1", "0...1", "0..inf", "nan..1", "0-4095", "8 bit"])
def test_what_is_no_scale_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"LO\.\.HI"):
        parse(text)


# What is named


def grey16(path: Path, largest: int, n: int) -> None:
    save(path, np.rint(grey(n % 3) * largest).astype(np.uint16))
    save(path.parents[1] / f"masks/{path.stem}.png", disc(n, SIDE)[1])


def test_fewer_bits_beside_more_are_errors_that_name_the_files(tmp_path: Path) -> None:
    for n, largest in enumerate((4095, 4095, 1023, 255, 20000, 65535)):
        grey16(tmp_path / f"images/m{n}.tif", largest, n)
    problems = examine(read(tmp_path)).problems
    named = {p.where for p in problems if p.severity == "error" and p.kind == "image out of the scale"}
    assert named == {f"images/m{n}.tif" for n in range(4)}
    given = examine(read(tmp_path), scale=FULL).problems
    assert of_kinds(given, "error") == set()
    assert "image out of the scale" in of_kinds(given, "warning")


def test_a_data_set_of_another_range_than_the_model_s_is_refused(tmp_path: Path) -> None:
    for n, largest in enumerate((4095, 4095, 4000, 65535)):
        grey16(tmp_path / f"images/m{n}.tif", largest, n)
    problems = examine(read(tmp_path), scale=FULL).problems
    with pytest.raises(UserError, match="3 of 4 images are out of it"):
        refuse_other_range(problems, 4, FULL)
    refuse_other_range(problems, 8, FULL)
    refuse_other_range(examine(read(tmp_path), scale=between(0, 4095)).problems, 4, between(0, 4095))


def test_8_bits_beside_12_are_named(tmp_path: Path) -> None:
    for n in range(2):
        grey16(tmp_path / f"images/w{n}.tif", 4095, n)
        save(tmp_path / f"images/b{n}.png", disc(n, SIDE)[0])
        save(tmp_path / f"masks/b{n}.png", disc(n, SIDE)[1])
    found = examine(read(tmp_path))
    assert str(found.intensities.scale) == "0..4095"
    assert "images of 8 bits and of more" in of_kinds(found.problems, "warning")
    same = examine(read(tmp_path), scale=found.intensities.scale)
    assert (read_image(tmp_path / "images/b0.png", scale=same.intensities.scale) == disc(0, SIDE)[0]).all()


@pytest.mark.parametrize(
    "pixels", [np.full(SIDE, 7, np.uint8), np.full(SIDE, 700, np.uint16), np.zeros((*SIDE, 3), np.uint8)]
)
def test_an_image_of_one_value_is_a_warning(tmp_path: Path, pixels: Pixels) -> None:
    save(tmp_path / "images/a.png", pixels)
    save(tmp_path / "masks/a.png", disc(0, SIDE)[1])
    assert "image of one value" in of_kinds(examine(read(tmp_path)).problems, "warning")


def test_transparency_that_darkens_is_a_warning_with_its_share(tmp_path: Path) -> None:
    rgba = np.dstack([disc(0, SIDE)[0], np.full(SIDE, 255, np.uint8)])
    rgba[:12, :, 3] = 0
    save(tmp_path / "images/a.png", rgba)
    save(tmp_path / "masks/a.png", disc(0, SIDE)[1])
    (problem,) = [p for p in examine(read(tmp_path)).problems if p.kind == "transparent image"]
    assert problem.severity == "warning"
    assert "25.00 %" in problem.detail.replace("%", " %").replace("  ", " ")
    assert (read_image(tmp_path / "images/a.png", scale=between(0, 255)) == rgba[..., :3]).all()


def test_a_band_left_out_is_a_warning(tmp_path: Path) -> None:
    for name in ("near infrared as alpha", "a fourth band of no name"):
        folder = write(tmp_path / name.replace(" ", "-"), name, [grey(0), grey(1)])
        assert "band left out" in of_kinds(examine(read(folder)).problems, "warning")


@pytest.mark.parametrize(
    ("pixels", "photometric", "reason"),
    [
        (np.zeros((*SIDE, 5), np.uint8), 2, "5 bands"),
        (np.zeros((*SIDE, 13), np.uint16), 1, "13 bands"),
        (np.zeros((*SIDE, 3), np.uint16), 1, "none is called red"),
        (np.zeros((*SIDE, 3), np.float32), 2, "32-bit fractions"),
        (np.full(SIDE, np.nan, np.float32), 1, "NaN"),
        (np.zeros(SIDE, np.float32), 0, "zero is white"),
        (np.zeros(SIDE, np.float32), 1, "--intensity"),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_reason(
    tmp_path: Path, pixels: Pixels, photometric: int, reason: str
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(pixels, photometric))
    scale = FULL if "intensity" in reason else between(0, 1)
    with pytest.raises(ImageError, match=reason):
        read_image(tmp_path / "a.tif", scale=scale)


@pytest.mark.parametrize("count", [1, 500])
@pytest.mark.parametrize(("kind", "value"), [("u2", 65535), ("i2", -32000), ("f4", -9999), ("f4", 1e30)])
def test_a_value_without_data_that_stretches_the_scale_is_an_error(
    tmp_path: Path, kind: str, value: float, count: int
) -> None:
    (tmp_path / "images").mkdir()
    for n in range(3):
        values = (grey(n) * (1.5 if kind == "f4" else 1500)).astype(kind)
        values.ravel()[:count] = value
        (tmp_path / f"images/a{n}.tif").write_bytes(tiff(values))
        save(tmp_path / f"masks/a{n}.png", disc(n, SIDE)[1])
    found = examine(read(tmp_path))
    (problem,) = [p for p in found.problems if p.kind == "scale of one value"]
    assert problem.severity == "error"
    assert f"--intensity {'0..1' if kind == 'f4' else '0..4095'}" in problem.detail
    assert not of_kinds(examine(read(tmp_path), scale=between(0, 1500)).problems, "error")


def test_a_few_pixels_that_stretch_the_scale_are_a_warning(tmp_path: Path) -> None:
    for n in range(3):
        values = np.rint(grey(n) * 4000).astype(np.uint16)
        values[0, :2] = 65535, 40000 + n
        save(tmp_path / f"images/a{n}.png", values)
        save(tmp_path / f"masks/a{n}.png", disc(n, SIDE)[1])
    problems = examine(read(tmp_path)).problems
    assert "scale of a few pixels" in of_kinds(problems, "warning")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # which users do not see
@pytest.mark.parametrize("write", [png, lzw])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_16_bit_colours_that_were_cut_off_are_refused(
    tmp_path: Path, write: Callable[[Pixels], bytes], kept: float
) -> None:
    content = write(colour(whole(12)(grey(0))))
    (tmp_path / "a.png").write_bytes(content[: int(len(content) * kept)])
    for scale in (FULL, between(0, 4095)):
        with pytest.raises(ImageError, match=r"damaged|truncated"):
            read_image(tmp_path / "a.png", scale=scale)


def test_16_bits_in_planes_are_those_of_pixels_and_not_taken_for_8(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
    (tmp_path / "pixels.tif").write_bytes(tiff(noise, 2))
    for packed in (False, True):
        (tmp_path / "planes.tif").write_bytes(tiff(noise, 2, planes=True, packed=packed))
        for scale in (FULL, between(0, 4095), between(0, 65535)):
            found, other = (
                read_image(tmp_path / f"{name}.tif", scale=scale) for name in ("planes", "pixels")
            )
            assert (found == other).all()


def test_a_mask_of_16_bits_in_planes_is_read_as_others(tmp_path: Path) -> None:
    inside = np.zeros((20, 30), bool)
    inside[5:9, 4:20] = True
    values = np.repeat(inside[..., None], 3, axis=2).astype(np.uint16) * np.uint16(65535)
    (tmp_path / "mask.tif").write_bytes(tiff(values, 2, planes=True))
    assert (read_mask(tmp_path / "mask.tif") == inside).all()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_16_bits_in_planes_that_were_cut_off_are_refused(tmp_path: Path, kept: float) -> None:
    content = tiff(colour(whole(12)(grey(0))), 2, planes=True)
    at = int(len(content) * kept)
    (tmp_path / "a.tif").write_bytes(content[:8] + content[8:at] + bytes(len(content) - at))
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.tif")


# Where it goes


def test_equal_pictures_are_found_at_the_scale_of_the_set(tmp_path: Path) -> None:
    folder = write(tmp_path, "fractions of one", [grey(0), grey(1), grey(0)])
    assert any(
        problem.kind == "exact duplicate" or "same pixels" in problem.detail
        for problem in examine(read(folder)).problems
    )


def test_prepared_images_have_the_scale_and_usual_ones_their_old_name(tmp_path: Path) -> None:
    samples = read(write(tmp_path, "12 bits in 16", [grey(n) for n in range(4)])).samples
    data = fingerprint(samples)
    twelve, full = (
        open_prepared(prepare(samples, data, SIDE, "squash", scale=s)) for s in (between(0, 4095), FULL)
    )
    assert (twelve.images[0] == read_image(samples[0].image, scale=between(0, 4095))).all()
    assert full.images[0].max() <= 15
    assert prepare(samples, data, SIDE, "squash", scale=AUTO) == prepare(samples, data, SIDE, "squash")


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_masks_whose_zero_is_white_count_as_they_are_stored(tmp_path: Path, kind: str) -> None:
    for n in range(3):
        image, mask = disc(n, SIDE)
        save(tmp_path / f"images/a{n}.png", image)
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / f"masks/a{n}.tif").write_bytes(tiff(np.where(mask, 255, 0).astype(kind), 0))
        assert (read_mask(tmp_path / f"masks/a{n}.tif") == mask).all()
    assert "white is zero" in of_kinds(examine(read(tmp_path)).problems, "warning")


def test_masks_of_16_bits_in_colour_keep_their_numbers(tmp_path: Path) -> None:
    mask = disc(0, SIDE)[1]
    for factor in (1, 255, 65535):
        (tmp_path / "m.png").write_bytes(png(colour((mask * factor).astype(np.uint16))))
        assert (read_mask(tmp_path / "m.png") == mask).all()


def test_a_scale_of_a_model_tells_of_images_that_do_not_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "dark.png", np.rint(grey(0) * 4095).astype(np.uint16))
    save(tmp_path / "bright.png", np.rint(30_000 + grey(0) * 9000).astype(np.uint16))
    read_image(tmp_path / "dark.png")
    assert not caplog.messages
    read_image(tmp_path / "dark.png", scale=FULL.of_model())
    assert "nearly black" in caplog.messages[-1]
    read_image(tmp_path / "bright.png", scale=between(0, 4095).of_model())
    assert "4095" in caplog.messages[-1]


def test_orientation_turns_16_bit_colours_too(tmp_path: Path) -> None:
    pixels = colour(whole(12)(grey(0)))
    pixels[..., 0] //= 2
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("RGB", SIDE[::-1]).save(stream, "PNG", exif=exif)
    content = stream.getvalue()
    start = content.index(b"eXIf") - 4
    length = int.from_bytes(content[start : start + 4], "big") + 12
    whole_png = png(pixels)
    (tmp_path / "a.png").write_bytes(whole_png[:33] + content[start : start + length] + whole_png[33:])
    expected = np.rot90(scaled(pixels, Scale("range", 0, 4095)), -1)
    assert (read_image(tmp_path / "a.png", scale=between(0, 4095)) == expected).all()


def test_images_that_cannot_be_read_are_not_called_grey() -> None:
    assert not find_scale({}, "set").all_grey
    assert find_scale({"a.png": Levels(is_grey=True)}, "set").all_grey
