"""Files that ask for more work than any picture needs are refused at once; what encoders write is not."""

import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import bombs
import numpy as np
import pytest
from PIL import Image

from segstudy.data.images import ImageError, decode_bytes, image_size, read_image
from segstudy.data.masks import read_mask

SLOW_TO_MAKE = "TIFF of one tile of 1 GB"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=pytest.mark.slow if name == SLOW_TO_MAKE else ())
        for name, make in bombs.BOMBS.items()
    ],
)
def test_a_bomb_is_refused_at_once(tmp_path: Path, make: Callable[[], bytes]) -> None:
    content = make()
    file = tmp_path / "x.png"
    file.write_bytes(content)
    start = time.process_time()
    for decode in (read_image, read_mask, lambda _: decode_bytes(content, lambda _: None)):
        with pytest.raises(ImageError, match="asks for more work") as caught:
            decode(file)
        assert caught.value.kind == "excessive"
        assert "\n" not in str(caught.value)
    assert time.process_time() - start < 2, "seconds for three times"


@pytest.mark.parametrize("name", ["JPEG of 40,000 pieces of Exif", "PNG of 10,000 compressed profiles",
                                  "TIFF of 2,000,000 strips", "PPM with a comment of 20 MB"])  # fmt: skip
def test_not_even_the_size_of_a_bomb_takes_time(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(bombs.BOMBS[name]())
    start = time.process_time()
    with pytest.raises(ImageError):
        image_size(file)
    assert time.process_time() - start < 1


def test_animations_of_100_000_frames_are_refused_at_once() -> None:
    stream = io.BytesIO()
    frames = [Image.new("P", (64, 64), n) for n in range(2)]
    frames[0].save(stream, "GIF")
    gif = stream.getvalue()
    frame = gif[gif.index(b",", 13 + 3 * (2 << (gif[10] & 7)) * (gif[10] >> 7)) : -1]
    stream = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), (n, 0, 0)) for n in (0, 99)]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    webp = stream.getvalue()
    at = webp.index(b"ANMF")
    body = webp[12:] + webp[at:] * 50_000
    content = {
        "GIF": gif[:-1] + frame * 100_000 + b";",
        "WebP": b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body,
    }
    for kind, each in content.items():
        start = time.process_time()
        with pytest.raises(ImageError, match=r"holds [0-9a-z,]+ pages or frames"):
            decode_bytes(each, lambda _: None)
        assert time.process_time() - start < 2, kind


def written_by_an_encoder() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 255, (300, 400, 3), np.uint8))

    def saved(kind: str, image: Image.Image = photo, **options: object) -> bytes:
        stream = io.BytesIO()
        image.copy().save(stream, kind, **options)  # saving leaves traces of its format in an image
        return stream.getvalue()

    progressive = saved("JPEG", progressive=True)
    video = random.Random(0).randbytes(20_000_000)  # of a "motion photo": 300 times FF DA
    return {
        "progressive": progressive,
        "progressive CMYK": saved("JPEG", photo.convert("CMYK"), progressive=True),
        "restarts": saved("JPEG", restart_marker_blocks=1),
        "a profile of 4 MB": saved("JPEG", icc_profile=rng.bytes(4_000_000)),
        "Exif": saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + progressive[:60_000]),
        "100 scans": bombs.scans(95),
        "a video behind": progressive + video,
        "a video as metadata": bombs.segments(300, video[:60_000], 0xE2),
        "several pictures": saved("MPO", save_all=True, append_images=[photo.copy()] * 50),
        "PNG": saved("PNG"),
        "PNG in pieces of a byte": bombs.png(piece=1),
        "interlaced PNG of text": bombs.png(bombs.chunk(b"tEXt", b"k\0" + b"v" * 1000) * 200),
        "TIFF": saved("TIFF"),
        "TIFF, deflate": saved("TIFF", compression="tiff_deflate"),
        "TIFF, JPEG": saved("TIFF", compression="jpeg"),
        "TIFF, LZW, a row a strip": saved("TIFF", compression="tiff_lzw", strip_size=1200),
        "BigTIFF": saved("TIFF", big_tiff=True),
        "TIFF of one tile larger than itself": bombs.tiff_of_one_tile(256),
        "GIF": saved("GIF"),
        "JPEG 2000": saved("JPEG2000"),
        "JPEG 2000 in tiles and layers": saved("JPEG2000", tile_size=(64, 64), quality_layers=[40, 20, 10]),
        "AVIF": saved("AVIF"),
        "WebP": saved("WEBP"),
        "BMP": saved("BMP"),
        "BMP of runs": bombs.bmp_of_runs(64, 64, b"\x40\1\0\0" * 64 + b"\0\1"),
        "PPM": saved("PPM"),
        "PBM": saved("PPM", Image.new("1", (2000, 2000))),
        "PPM whose pixels look like comments": b"P6 400 300 255\n" + b"#" * 400 * 300 * 3,
        "plain PPM": b"P3\n# made by hand\n64 64\n255\n" + b"1 2 3\n" * 64 * 64,
        "PPM up to 254": b"P6 64 64 254\n" + bytes(64 * 64 * 3),
    }


@pytest.mark.parametrize(("name", "content"), written_by_an_encoder().items())
def test_what_encoders_write_is_read(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content)
    native, pixels = decode_bytes(content, lambda _: None)
    assert pixels.shape[:2] == native == image_size(file)
    assert (read_image(file) == pixels).all()
