"""A file of several pages is no image: which of them is meant nobody says."""

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, make_folder, save
from PIL import Image

from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.images import ImageError, image_size, read_image
from segstudy.data.mask_pixels import decode_mask

PAGES = [Image.fromarray(disc(n)[0]) for n in range(5)]
MASKS = [Image.fromarray(disc(n)[1].astype(np.uint8) * 255) for n in range(5)]


def stack(file: Path, pages: list[Image.Image], **options: object) -> Path:
    pages[0].save(file, save_all=True, append_images=pages[1:], **options)  # type: ignore[arg-type]
    return file


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("tif", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("tif", {"big_tiff": True}),
        ("gif", {}),
        ("webp", {"lossless": True}),
        ("png", {}),
    ],
)
def test_a_file_of_several_pages_is_refused_with_their_number(
    tmp_path: Path, suffix: str, options: dict[str, object]
) -> None:
    file = stack(tmp_path / f"x.{suffix}", PAGES, **options)
    for look in (read_image, image_size, decode_mask):
        with pytest.raises(ImageError, match="holds 5 pages or frames, which one is meant"):
            look(file)


@pytest.mark.parametrize("suffix", ["tif", "gif", "webp", "png"])
def test_a_file_of_one_page_is_read(tmp_path: Path, suffix: str) -> None:
    assert read_image(stack(tmp_path / f"x.{suffix}", PAGES[:1])).shape == (24, 32, 3)


def test_stacks_of_a_data_set_are_errors_of_images_and_masks(tmp_path: Path) -> None:
    make_folder(tmp_path, ("a", "b"))
    for name in ("z0", "z1"):
        stack(tmp_path / "images" / f"{name}.tif", PAGES)
        stack(tmp_path / "masks" / f"{name}.tif", MASKS)
    errors = [problem for problem in check(read(tmp_path)) if problem.severity == "error"]
    assert {(each.kind, each.where) for each in errors} == {
        (f"stacked {kind[:-1]}", f"{kind}/{name}.tif")
        for kind in ("images", "masks")
        for name in ("z0", "z1")
    }
    assert all("5 pages" in each.detail for each in errors)


def with_second_directory(tag: int, value: int, big: bool = False) -> bytes:
    """A TIFF whose second directory is the first one again, with this tag more."""
    stream = io.BytesIO()
    PAGES[0].save(stream, "TIFF", big_tiff=big)
    content = bytearray(stream.getvalue() + b"\0" * (len(stream.getvalue()) % 2))
    offset, number, entry = ("Q", "Q", "HHQQ") if big else ("I", "H", "HHII")
    (first,) = struct.unpack_from(f"<{offset}", content, 8 if big else 4)
    (tags,) = struct.unpack_from(f"<{number}", content, first)
    size, each = struct.calcsize(f"<{number}"), struct.calcsize(f"<{entry}")
    directory = content[first + size : first + size + tags * each]
    end = first + size + tags * each
    struct.pack_into(f"<{offset}", content, end, len(content))
    content += struct.pack(f"<{number}", tags + 1) + struct.pack(f"<{entry}", tag, 4, 1, value) + directory
    return bytes(content + struct.pack(f"<{offset}", 0))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("tag", "value", "is_page"), [(254, 1, 0), (254, 4, 0), (254, 2, 1), (255, 2, 0), (255, 3, 1)]
)
def test_previews_and_masks_of_transparency_are_no_pages(
    tmp_path: Path, tag: int, value: int, is_page: int, big: bool
) -> None:
    file = tmp_path / "x.tif"
    file.write_bytes(with_second_directory(tag, value, big))
    if is_page:
        with pytest.raises(ImageError, match="holds 2 pages"):
            read_image(file)
    else:
        assert (read_image(file) == np.asarray(PAGES[0])).all()


def test_a_stack_that_imagej_wrote_as_one_directory_is_refused(tmp_path: Path) -> None:
    description = "ImageJ=1.53t\nimages=40\nslices=40\nloop=false\n"
    MASKS[0].save(tmp_path / "x.tif", description=description)
    with pytest.raises(ImageError, match="holds 40 pages"):
        read_image(tmp_path / "x.tif")
    MASKS[0].save(tmp_path / "y.tif", description="ImageJ=1.53t\nimages=1\n")
    assert read_image(tmp_path / "y.tif").shape == (24, 32, 3)


def test_previews_in_a_camera_s_jpeg_are_no_pages(tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    PAGES[0].save(file, "MPO", save_all=True, append_images=[PAGES[1]])
    assert read_image(file).shape == (24, 32, 3)


def test_directories_in_a_circle_and_by_the_million_end_soon(tmp_path: Path) -> None:
    content = bytearray(with_second_directory(254, 2))
    struct.pack_into("<I", content, len(content) - 4, struct.unpack_from("<I", content, 4)[0])
    file = tmp_path / "circle.tif"
    file.write_bytes(content)
    with pytest.raises(ImageError, match="holds 2 pages"):
        read_image(file)
    at = len(content)
    struct.pack_into("<I", content, at - 4, at)
    content += b"".join(struct.pack("<HI", 0, at + 6 * (i + 1)) for i in range(300_000))
    file.write_bytes(content)
    start = time.process_time()
    with pytest.raises(ImageError, match="holds 100,000 pages"):
        read_image(file)
    assert time.process_time() - start < 3


def test_a_page_too_many_in_one_file_leaves_the_others_usable(tmp_path: Path) -> None:
    make_folder(tmp_path)
    stack(tmp_path / "masks" / "x.tif", MASKS[:2])
    save(tmp_path / "images" / "x.png", disc(0)[0])
    (error,) = [problem for problem in check(read(tmp_path)) if problem.severity == "error"]
    assert "2 pages or frames" in error.detail
    assert "or exclude x" in error.detail
