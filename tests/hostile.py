"""Hostile inputs: each is refused in a line, or taken for what it is; nothing breaks or changes.

    python tests/hostile.py            # the table
    python tests/hostile.py masks      # one family

A case is one line: a name, what makes it, its exit code and what segstudy says. How they are run and judged is
in ``corpus.py``.
"""

import io
import json
import os
import pickle
import re
import shutil
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forged
import numpy as np
import polars as pl
from bombs import BOMBS
from corpus import MAX_SECONDS, SMALL, Case, Corpus, Make
from fake_data import disc, make_folder, make_ph2, make_workbook, save
from hostile_layouts import layouts
from PIL import Image, PngImagePlugin
from rich.console import Console
from rich.table import Table

import segstudy
from segstudy.config.protocol import Protocol
from segstudy.config.study import Study

# Files


def png(mode: str, size: tuple[int, int] = (32, 24), **options: Any) -> Make:
    """Write ``set/images/x.png`` in a colour mode, or the mask with ``mask=True``; the other of the pair is good."""
    mask = options.pop("mask", False)
    suffix = options.pop("suffix", "png")

    def make(here: Path) -> None:
        good_pair(here, "x")
        where = here / "set" / ("masks" if mask else "images")
        (where / "x.png").unlink()
        pixels = disc(9, size[::-1])[0] if not mask else disc(9, size[::-1])[1] * 255
        image = Image.fromarray(pixels.astype(np.uint8))
        image = image.convert(mode) if mode not in ("I;16", "F", "I") else Image.fromarray(wide(pixels, mode))
        image.save(where / f"x.{suffix}", **options)

    return make


def wide(pixels: np.ndarray, mode: str) -> np.ndarray:
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    return {
        "I;16": lambda: grey.astype(np.uint16) * 257,
        "I": lambda: grey.astype(np.int32) * 70000,
        "F": lambda: grey.astype(np.float32) / 255,
    }[mode]()


def good_pair(here: Path, stem: str) -> None:
    pixels, mask = disc(9)
    save(here / "set" / "images" / f"{stem}.png", pixels)
    save(here / "set" / "masks" / f"{stem}.png", mask)


def pair_named(stem: str | bytes) -> Make:
    """A good pair under a hostile name."""

    def make(here: Path) -> None:
        good_pair(here, "x")
        for kind in ("images", "masks"):
            folder = here / "set" / kind
            (folder / "x.png").rename(folder / f"{os.fsdecode(stem)}.png")

    return make


def image_bytes(data: bytes | Callable[[], bytes], suffix: str = "png", kind: str = "images") -> Make:
    """Bytes in place of the image (or mask) of x."""

    def make(here: Path) -> None:
        good_pair(here, "x")
        (here / "set" / kind / "x.png").unlink()
        (here / "set" / kind / f"x.{suffix}").write_bytes(data if isinstance(data, bytes) else data())

    return make


def mask_bytes(data: bytes | Callable[[], bytes], suffix: str = "png") -> Make:
    return image_bytes(data, suffix, "masks")


def mask_pixels(change: Callable[[np.ndarray], np.ndarray]) -> Make:
    """The good mask of x, as bytes 0 and 255, with a change."""

    def make(here: Path) -> None:
        good_pair(here, "x")
        mask = disc(9)[1].astype(np.uint8) * 255
        Image.fromarray(change(mask)).save(here / "set" / "masks" / "x.png")

    return make


def encoded(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(disc(9)[0]).save(stream, kind, **options)
    return stream.getvalue()


def half(kind: str) -> bytes:
    data = encoded(kind)
    return data[: len(data) * 6 // 10]


def mask_as_jpeg() -> bytes:
    """Of a size at which JPEG's grey seams are few beside the pixels."""
    stream = io.BytesIO()
    Image.fromarray(disc(9)[1].astype(np.uint8) * 255).resize((32, 24)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_claiming(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose header says a size, and whose pixels are whatever is given, compressed."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows, 9)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bmp_claiming(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def png_with_text_bomb() -> bytes:
    stream, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("bomb", "0" * 300_000_000, zip=True)
    Image.fromarray(disc(9)[0]).save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def several_frames(kind: str) -> bytes:
    frames = [Image.fromarray(disc(n)[0]) for n in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def rotated(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded("JPEG", exif=exif)


def both_rotated(here: Path) -> None:
    image_bytes(rotated(6), "jpg")(here)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(disc(9)[1].astype(np.uint8) * 255).save(here / "set" / "masks" / "x.png", exif=exif)


CHECK = "check set"


def images() -> Iterator[Case]:
    def case(name: str, make: Make, code: int, said: str = "") -> Case:
        return Case("images", name, make, CHECK, code, said)

    for kind, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp"), ("TIFF", "tif")):
        yield case(
            f"{kind} cut short", image_bytes(lambda kind=kind: half(kind), suffix), 2, "unreadable image"
        )
    yield case("JPEG called .png", image_bytes(lambda: encoded("JPEG")), 0)
    yield case("PNG called .bmp", image_bytes(lambda: encoded("PNG"), "bmp"), 0)
    yield case("text called .png", image_bytes(b"not an image\n"), 2, r"x\.png: not an image")
    yield case("HTML called .jpg", image_bytes(b"<html><script>alert(1)</script>", "jpg"), 2, "not an image")
    yield case("PDF called .png", image_bytes(b"%PDF-1.7\n%\xe2\xe3\n"), 2, "not an image|unreadable")
    yield case(
        "EPS called .png (Ghostscript)",
        image_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        2,
        "un",
    )
    yield case("zero bytes", image_bytes(b""), 2, r"x\.png: an empty file \(0 bytes\)")
    yield case("zeros", image_bytes(bytes(5000)), 2, "not an image")
    yield case(
        "PNG of 60,000 x 60,000 by its header", image_bytes(png_claiming(60000, 60000)), 2, "million pixels"
    )
    yield case(
        "PNG of 2**31 - 1 squared",
        image_bytes(png_claiming(2**31 - 1, 2**31 - 1)),
        2,
        "million pixels|cannot",
    )
    yield case("PNG bomb, 20,000 x 20,000 in 0.4 MB", image_bytes(lambda: png_claiming(20000, 20000, bytes(20001 * 20000))),
               2, "million pixels")  # fmt: skip
    yield case("PNG of 0 x 0", image_bytes(png_claiming(0, 0)), 2, "unreadable|tiny")
    yield case(
        "BMP of 60,000 x 60,000", image_bytes(bmp_claiming(60000, 60000), "bmp"), 2, "million pixels|cannot"
    )
    yield case("BMP of negative size", image_bytes(bmp_claiming(-5, -5), "bmp"), 2, "unreadable|tiny|million")
    yield case("PNG with 300 MB of text", image_bytes(png_with_text_bomb), 2, "unreadable image")
    yield case("half the rows, well compressed", image_bytes(png_claiming(32, 24, bytes(33 * 10))), 0)
    yield case("CMYK", png("CMYK", suffix="jpg"), 0)
    yield case("16 bits, grey", png("I;16"), 0)
    yield case("32-bit integers", png("I", suffix="tif"), 0, "images of 8 bits and of more")
    yield case("32-bit floats", png("F", suffix="tif"), 0, "images of 8 bits and of more")
    yield case("palette", png("P"), 0)
    yield case("palette with transparency", png("P", transparency=0), 0)
    yield case("alpha", png("RGBA"), 0)
    yield case("grey and alpha", png("LA"), 0)
    yield case("1 bit", png("1"), 0)
    yield case("LAB", png("LAB", suffix="tif"), 0)
    yield case("YCbCr TIFF", png("YCbCr", suffix="tif"), 0)
    yield case("animated PNG", image_bytes(lambda: several_frames("PNG")), 2, "3 pages or frames")
    yield case("animated GIF called .png", image_bytes(lambda: several_frames("GIF")), 2, "3 pages or frames")
    yield case("TIFF of several pages", image_bytes(lambda: several_frames("TIFF"), "tiff"), 2, "3 pages")
    yield case("animated GIF", image_bytes(lambda: several_frames("GIF"), "gif"), 2, "3 pages or frames")
    yield case("a format that is not read", image_bytes(b"\x93NUMPY\1\0", "npy"), 0, "1 .npy file")
    yield case(
        "turned by EXIF, mask not", image_bytes(rotated(6), "jpg"), 2, "only the image is turned by its EXIF"
    )
    yield case("turned by EXIF, mask too", both_rotated, 0, "image and mask were turned")
    yield case("EXIF orientation 77", image_bytes(lambda: rotated(77), "jpg"), 0)
    yield case("EXIF of garbage", image_bytes(lambda: encoded("JPEG", exif=b"Exif\0\0garbage"), "jpg"), 0)
    for name, make in BOMBS.items():
        yield case(name, image_bytes(make), 2, "asks for more work")
    yield case("of 4 x 4 pixels", png("RGB", (4, 4)), 2, "tiny|size mismatch")
    yield case("of one column", png("RGB", (1, 2000)), 2, "tiny|only 1 x")
    names: dict[str, str | bytes] = {
        "spaces": "my first image",
        "accents, decomposed": "le\u0301sion",
        "emoji and Arabic": "🩺 صورة",
        "a newline": "one\ntwo",
        "a carriage return and a tab": "one\r\ttwo",
        "terminal colours": "\x1b[31mred\x1b[0m",
        "a leading dash": "--out=.",
        "markup": "<img src=x onerror=alert(1)>",
        "a shell's": "$(touch canary); `touch canary`",
        "rich markup": "[red]x[nope]",
        "format strings": "%s%n{0}{x}",
        "a quote and a backslash": "a'\"\\b",
        "no UTF-8": b"caf\xe9\xff",
        "251 bytes": "n" * 251,
        "a device of Windows": "CON",
        "only a dot more": "x..",
        "right to left": "abc\u202egnp",
    }
    for name, stem in names.items():
        refused = isinstance(stem, bytes)  # a name that is no text cannot be written down
        yield case(f"a name with {name}", pair_named(stem), 2 if refused else 0, "UTF-8" if refused else "")
        yield case(f"an unreadable image with {name}", broken_named(stem), 2, "unreadable image")


def broken_named(stem: str | bytes) -> Make:
    def make(here: Path) -> None:
        pair_named(stem)(here)
        name = (stem if isinstance(stem, bytes) else stem.encode()) + b".png"
        (here / "set" / "images" / os.fsdecode(name)).write_bytes(b"broken")

    return make


def masks() -> Iterator[Case]:
    def case(name: str, make: Make, code: int, said: str = "") -> Case:
        return Case("masks", name, make, CHECK, code, said)

    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    for kind, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp")):
        yield case(
            f"{kind} cut short", mask_bytes(lambda kind=kind: half(kind), suffix), 2, "unreadable mask"
        )
    yield case("zero bytes", mask_bytes(b""), 2, "empty file")
    yield case("text called .png", mask_bytes(b"nothing"), 2, "not an image")
    yield case("PNG of 60,000 x 60,000", mask_bytes(png_claiming(60000, 60000)), 2, "million pixels")
    yield case("three classes", mask_pixels(lambda m: np.where(m > 0, 2, 0).astype(np.uint8) + (np.indices(m.shape)[0] < 3)),
               2, "several classes, with the values 0, 1, 2")  # fmt: skip
    yield case("classes with 255 to ignore", mask_pixels(lambda m: np.where(np.indices(m.shape)[0] < 2, 255, m // 255)), 2,
               "several classes|multi-class")  # fmt: skip
    yield case("soft", mask_pixels(lambda m: np.tile(ramp, (24, 1))), 2, "grey")
    yield case("a little grey, as of JPEG", mask_bytes(mask_as_jpeg, "jpg"), 0, "mask with grey values")
    yield case("inverted", mask_pixels(lambda m: 255 - m), 0, "inverted mask suspected")
    yield case("another size", mask_pixels(lambda m: m[:20]), 2, "size mismatch")
    yield case("turned by 90 degrees", mask_pixels(lambda m: m.T.copy()), 2, "size mismatch")
    yield case("empty", mask_pixels(lambda m: m * 0), 0, "empty mask")
    yield case("full", mask_pixels(lambda m: m * 0 + 255), 0, "full mask")
    yield case(
        "constant 100",
        mask_pixels(lambda m: m * 0 + 100),
        2,
        "every pixel is 100|100 is in 1 of them, as ",
    )
    yield case("0 and 1", mask_pixels(lambda m: m // 255), 0)
    yield case(
        "three colours",
        mask_pixels(lambda m: np.stack([m, m // 2, np.indices(m.shape, np.uint8)[0]], -1)),
        2,
        "mask",
    )
    yield case("black and white in RGB", mask_pixels(lambda m: np.stack([m] * 3, -1)), 0, "mask in colour")
    yield case("alpha, opaque", png("RGBA", mask=True), 0, "stored as RGBA")
    yield case("partly transparent", mask_pixels(lambda m: np.stack([m, m, m, m], -1)), 2, "transparent")
    yield case("palette", png("P", mask=True), 0)
    yield case("1 bit", png("1", mask=True), 0)
    yield case("16 bits, 0 and 65535", png("I;16", mask=True), 0)
    yield case(
        "16 bits, soft", mask_pixels(lambda m: np.tile(ramp, (24, 1)).astype(np.uint16) * 257), 2, "grey"
    )
    yield case("floats of 0 and 1", png("F", mask=True, suffix="tif"), 0, "stored as F")
    yield case("CMYK", png("CMYK", mask=True, suffix="jpg"), 0, "stored as CMYK|mask")
    yield case("animated", mask_bytes(lambda: several_frames("PNG")), 2, "3 pages or frames")
    yield case(
        "missing",
        lambda here: (good_pair(here, "x"), (here / "set/masks/x.png").unlink()),
        0,
        "unpaired image",
    )
    yield case("two for one image", lambda here: (good_pair(here, "x"), shutil.copy(here / "set/masks/x.png",
               here / "set/masks/x_mask.png")), 2, "two masks for one image")  # fmt: skip
    yield case("the image itself", lambda here: (good_pair(here, "x"), shutil.copy(here / "set/images/x.png",
               here / "set/masks/x.png")), 2, "mask")  # fmt: skip


def folders() -> Iterator[Case]:
    def case(name: str, make: Make, code: int, said: str = "", command: str = CHECK, **more: Any) -> Case:
        return Case("folders", name, make, command, code, said, **more)

    yield case("missing", lambda here: None, 2, "no such folder", needs="")
    yield case("a file", lambda here: (here / "set").write_text("x"), 2, "is a file", needs="")
    yield case("a zip file", lambda here: (here / "set").write_bytes(b"PK\3\4"), 2, "unpack it", needs="")
    yield case("empty", lambda here: (here / "set").mkdir(), 2, "an empty folder", needs="")
    yield case("images without masks", lambda here: shutil.rmtree(here / "set/masks"), 2, "masks/ is missing")
    yield case("masks of other names", lambda here: [(here / "set/masks" / f"{s}.png").rename(here / "set/masks" / f"{s}2.png")
               for s in "abcd"], 2, "no image with its mask")  # fmt: skip
    yield case("a link to itself", lambda here: (here / "set/images/loop").symlink_to(here / "set"), 0)
    yield case(
        "an image that links to itself", lambda here: (here / "set/images/l.png").symlink_to("l.png"), 0
    )
    yield case(
        "an image that links to nothing", lambda here: (here / "set/images/l.png").symlink_to("gone.png"), 0
    )
    yield case("an image that links to a device", lambda here: (here / "set/images/a.png").unlink() or
               (here / "set/images/a.png").symlink_to("/dev/zero"), 0, "unpaired mask")  # fmt: skip
    yield case("a pipe called .png", lambda here: (here / "set/images/a.png").unlink() or os.mkfifo(here / "set/images/a.png"),
               0, "unpaired mask")  # fmt: skip
    yield case("a folder called .png", lambda here: (here / "set/images/e.png").mkdir(), 0)
    yield case("nested", lambda here: make_folder(here / "set/images/images"), 0)
    yield case("stray files of systems", lambda here: [(here / "set/images" / name).write_bytes(b"stray")
               for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a.png", ".hidden.png")], 0)  # fmt: skip
    yield case("names that differ in case", lambda here: [shutil.copy(here / "set" / k / "a.png", here / "set" / k / "A.png")
               for k in ("images", "masks")], 0, "duplicate")  # fmt: skip
    yield case("suffixes in capitals", lambda here: [(here / "set" / k / "a.png").rename(here / "set" / k / "a.PNG")
               for k in ("images", "masks")], 0)  # fmt: skip
    yield case("the same image twice in two parts", lambda here: [make_folder(here / "two" / part, ("a", "b", "c"), 1)
               for part in ("train", "test")], 2, "duplicate images", "check two")  # fmt: skip
    yield case(
        "metadata.csv of garbage",
        lambda here: (here / "set/metadata.csv").write_bytes(b"\xff\xfe\0\0"),
        2,
        "metadata",
    )
    yield case(
        "metadata.csv without ids", lambda here: (here / "set/metadata.csv").write_text("a,b\n1,2\n"), 2, "id"
    )
    yield case(
        "metadata.csv with NUL",
        lambda here: (here / "set/metadata.csv").write_bytes(b"id,group\na\0,b\n"),
        2,
        "is not text",
    )
    yield case("metadata.csv with a field of 1 MB", lambda here: (here / "set/metadata.csv").write_text(
               "id,group\na," + "g" * 2**20 + "\n"), 2, "metadata")  # fmt: skip
    yield case("metadata.csv of an unknown part", lambda here: (here / "set/metadata.csv").write_text("id,part\na,nonsense\n"),
               2, "part")  # fmt: skip
    yield case("a folder that may not be read", lambda here: (here / "set/images").chmod(0), 2, "Permission denied",
               as_nobody=True)  # fmt: skip
    yield case("an image that may not be read", lambda here: (here / "set/images/a.png").chmod(0), 2, "Permission denied",
               as_nobody=True)  # fmt: skip
    yield case("to be trained in a folder that may not be written", lambda here: here.chmod(0o555), 2, "cannot be written",
               f"run set {SMALL}", as_nobody=True)  # fmt: skip
    yield case(
        "a data set too small to split",
        lambda here: make_folder(here / "tiny", ("a", "b")),
        2,
        "",
        "run tiny --out out",
    )
    yield case("errors in the data", image_bytes(b"broken"), 2, "segstudy check", "run set --out out")


# Study files

GOOD = 'data = "set"\npreset = "quick"\n'
NUMBERS = {
    "nan": "nan",
    "infinite": "inf",
    "negative": "-1",
    "huge": "1e30",
    "a word": '"many"',
    "a boolean": "true",
}
WORDS = {
    "a number": "3",
    "a list": "[1, 2]",
    "a table": "{ a = 1 }",
    "empty": '""',
    "unknown": '"no such thing"',
}
# What a number or word may well be, by field: not hostile.
ALLOWED = {("image_size", "huge"), ("foreground", "a number"), ("data", "unknown"), ("name", "unknown")}


def study_file(text: str | bytes) -> Make:
    return lambda here: (here / "s.toml").write_bytes(text.encode() if isinstance(text, str) else text)


def wrong_values() -> Iterator[tuple[str, str, str]]:
    """Every field of a study and a protocol with values that it does not take: table, field, value."""
    for table, model in (("", Study), ("protocol", Protocol)):
        for name, field in model.model_fields.items():
            numeric = any(kind in str(field.annotation) for kind in ("int", "float"))
            if name in ("protocol", "grid"):
                yield table, name, "3"
            elif field.annotation is bool:
                yield table, name, '"perhaps"'
            else:
                for value in (
                    NUMBERS if numeric else {k: v for k, v in WORDS.items() if k in ("a list", "a table")}
                ).values():
                    if value != "true" or name not in ("exclude",):
                        yield table, name, value


def study_files() -> Iterator[Case]:
    def case(name: str, text: str | bytes, said: str, code: int = 2) -> Case:
        return Case("study files", name, study_file(text), "plan s.toml", code, said)

    for table, name, value in wrong_values():
        head = f"[{table}]\n" if table else ""
        text = (
            f"{name} = {value}\n{GOOD if name != 'data' else ''}"
            if not table
            else f"{GOOD}{head}{name} = {value}\n"
        )
        text = text.replace('preset = "quick"\n', "") if name == "preset" else text
        yield case(
            f"{table}{'.' if table else ''}{name} = {value}",
            text,
            re.escape(name) if name != "data" else "data",
        )
    yield case("nothing", "", "data is missing")
    yield case("no UTF-8", b"\xff\xfe" + GOOD.encode(), "not a TOML file")
    yield case("NUL", GOOD.encode() + b"\0", "is not text")
    yield case("a number of 100,000 digits", f"{GOOD}seeds = {'9' * 100_000}", "TOML")
    yield case("100,000 brackets", "x = " + "[" * 100_000, "TOML")
    yield case("10 MB of comments and then nonsense", "#" * 80 + "\n" + ("# x\n" * 2_500_000) + "y y", "TOML")
    yield case("a field twice", f"{GOOD}seeds = 1\nseeds = 2\n", "TOML")
    yield case("a table twice", f"{GOOD}[protocol]\nepochs = 1\n[protocol]\nepochs = 2\n", "TOML")
    yield case("an unknown field", f"{GOOD}seedz = 3\n", "unknown field 'seedz'")
    yield case(
        "an unknown protocol field", f"{GOOD}[protocol]\nepoch = 3\n", "unknown field 'protocol.epoch'"
    )
    yield case(
        "an unknown factor",
        f'{GOOD}[[grid]]\narchitecture = ["unet"]\nloss = ["bce"]\nx = [1]\n',
        "unknown factor",
    )
    yield case("a grid of a million", f'{GOOD}[[grid]]\narchitecture = ["unet"]\nloss = ["bce"]\n' + "".join(
               f"{f} = {list(range(1, 101))}\n" for f in ("batch_size", "epochs", "width")), "grid|configurations")  # fmt: skip
    yield case("a billion seeds", f"{GOOD}seeds = 1000000000\n", "seeds")
    yield case("a name that is a path", f'{GOOD}name = "../../out"\n', "name")
    yield case("a name of dots", f'{GOOD}name = ".."\n', "name")
    yield case("data of the machine", 'data = "/etc/passwd"\n', "is a file")
    yield case("data that is a device", 'data = "/dev/zero"\n', "is a file")
    yield case("data with NUL", 'data = "set\\u0000"\n', "data set is not there")
    yield case("data of 10,000 characters", f'data = "{"x" * 10_000}"\n', "File name too long")
    yield case("synthetic data without end", 'data = "synthetic:n=1000000000"\n', "n \\(1 to")
    yield case("an exclusion of nobody", f'{GOOD}exclude = ["nobody"]\n', "no sample 'nobody'")
    yield case("a split file that is missing", f'{GOOD}split_file = "no.json"\n', "no.json")
    yield case("a split file that is a folder", f'{GOOD}split_file = "set"\n', "set")
    yield case("a network from a missing file", own("gone.py:Net"), "no such file")
    yield case("a network with a folder's name", own("set.py:Net"), "no such file")
    yield case("a byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), "runs", 0)


def own(architecture: str) -> str:
    return f'{GOOD}[[grid]]\narchitecture = ["{architecture}"]\nloss = ["bce"]\n'


# Models: the run's folder of a finished study


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("canary"),)


def run_of(here: Path) -> Path:
    return min((here / "study" / "runs").iterdir())


def card_with(**fields: Any) -> Make:
    def make(here: Path) -> None:
        file = run_of(here) / "model.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, **fields}))

    return make


def card_text(text: str | bytes) -> Make:
    return lambda here: (run_of(here) / "model.json").write_bytes(
        text if isinstance(text, bytes) else text.encode()
    )


def weights(change: Callable[[bytes], bytes]) -> Make:
    def make(here: Path) -> None:
        file = run_of(here) / "model.safetensors"
        file.write_bytes(change(file.read_bytes()))

    return make


def claiming(num_bytes: int) -> bytes:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [num_bytes // 4], "data_offsets": [0, num_bytes]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header


def with_evil_file(make: Make) -> Make:
    def both(here: Path) -> None:
        (here / "evil.py").write_text("from pathlib import Path\nPath('canary').touch()\nclass Net: pass\n")
        make(here)

    return both


def model_files() -> Iterator[Case]:
    def case(name: str, make: Make, said: str) -> Case:
        def made(here: Path) -> None:
            make_folder(here / "unseen", ("p", "q"), seed=70)
            make(here)
            key = run_of(here)
            key.rename(key.with_name("0" * 16)) if key.name != "0" * 16 else None
            record = key.with_name("0" * 16) / "run.json"
            content = json.loads(record.read_text())
            record.write_text(json.dumps({**content, "key": "0" * 16}))

        return Case("model files", name, made, f"evaluate study/runs/{'0' * 16} unseen", 2, said, "study")

    yield case(
        "weights cut short", weights(lambda data: data[: len(data) // 2]), "the weights cannot be read"
    )
    yield case("weights of zero bytes", weights(lambda data: b""), "the weights cannot be read")
    yield case(
        "weights that are a pickle", weights(lambda data: pickle.dumps(Evil())), "the weights cannot be read"
    )
    yield case(
        "weights of an exabyte by the header",
        weights(lambda data: claiming(10**18)),
        "the weights cannot be read",
    )
    yield case(
        "a header of 2**63 bytes",
        weights(lambda data: struct.pack("<Q", 2**63) + data[8:]),
        "the weights cannot be read",
    )
    yield case("weights of something else", weights(lambda data: claiming(8) + bytes(8)), "do not fit")
    yield case(
        "no weights", lambda here: (run_of(here) / "model.safetensors").unlink(), "the weights cannot be read"
    )
    yield case("no card", lambda here: (run_of(here) / "model.json").unlink(), "cannot be read")
    yield case("a card of a list", card_text("[]"), "model.json")
    yield case("a card that is no JSON", card_text("{"), "not JSON")
    yield case("a card that is no text", card_text(b"\xff\xfe\0"), "not JSON|cannot be read")
    yield case("a card of 10 MB", card_text('{"a": "' + "x" * 10**7 + '"}'), "model.json: ")
    yield case("a card 100,000 deep", card_text("[" * 100_000), "not JSON")
    yield case("another architecture", card_with(architecture="segnet"), "do not fit segnet")
    yield case("an unknown architecture", card_with(architecture="nope"), "unknown architecture 'nope'")
    yield case("an unknown option", card_with(architecture="unet:depth=9"), "no option 'depth'")
    yield case("a file outside", with_evil_file(card_with(architecture="../evil.py:Net")), "runs no code")
    yield case("a file beside", with_evil_file(card_with(architecture="evil.py:Net")), "runs no code")
    yield case("a width of 10**9", card_with(width=10**9), "do not fit")
    yield case("a width of 10**30", card_with(width=10**30), "width")
    yield case("a width of -1", card_with(width=-1), "width")
    yield case("a threshold of NaN", card_with(threshold=float("nan")), "threshold")
    yield case("a threshold of 7", card_with(threshold=7), "threshold")
    yield case("an image size of one side", card_with(image_size=[32]), "image_size")
    yield case("an image size of a word", card_with(image_size="big"), "image_size")
    yield case("an unknown way to resize", card_with(resize="crop"), "resize")
    yield case("a later format", card_with(format=99), "format 99 .* update")
    yield case("no format", card_text("{}"), "format None")
    yield case("a field more", card_with(extra=1), "extra")


# Study folders


def text_in(name: str, text: str | bytes) -> Make:
    def make(here: Path) -> None:
        file = run_of(here) / name.removeprefix("RUN/") if name.startswith("RUN/") else here / "study" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    return make


def newer_run(here: Path) -> None:
    file = run_of(here) / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))


def study_folders() -> Iterator[Case]:
    def case(name: str, make: Make, command: str, code: int, said: str) -> Case:
        return Case(
            "study folders", f"{name}: {command.split(maxsplit=1)[0]}", make, command, code, said, "study"
        )

    repair = r"damaged.*segstudy verify DIR --repair"
    for reading in ("table study", "status study", "report study"):
        yield case("study.toml of garbage", text_in("study.toml", "\0"), reading, 2, "study.toml")
        yield case(
            "no study.toml", lambda here: (here / "study/study.toml").unlink(), reading, 2, "is not a study"
        )
        yield case("run.json cut short", text_in("RUN/run.json", '{"format": 1'), reading, 2, repair)
        yield case("run.json of null", text_in("RUN/run.json", "null"), reading, 2, repair)
        yield case("a newer version's run", newer_run, reading, 2, "update segstudy")
        yield case("split.json of a list", text_in("split.json", "[]"), reading, 2, "split.json: damaged")
        yield case("data.json of a number", text_in("data.json", "7"), reading, 2, "data.json: damaged")
        yield case(
            "a failure of garbage",
            text_in("failures/abc.json", "garbage"),
            reading,
            2,
            "failures/abc.json: damaged",
        )
        if reading != "status study":  # which says nothing of scores
            yield case(
                "a score of garbage",
                text_in("external/x/record.json", "{}"),
                reading,
                2,
                "external/x/record.json: damaged",
            )
        yield case("a stranger in runs", lambda here: (here / "study/runs/zzz").mkdir(), reading, 2, "zzz")
    yield case(
        "images.parquet of garbage",
        text_in("RUN/images.parquet", "PAR1"),
        "table study",
        2,
        "images.parquet: damaged",
    )
    yield case(
        "epochs.parquet of garbage",
        text_in("RUN/epochs.parquet", "PAR1"),
        "report study",
        2,
        "epochs.parquet: damaged",
    )
    yield case(
        "predictions of garbage",
        text_in("RUN/predictions.parquet", "x"),
        "report study",
        2,
        "predictions.parquet: dam",
    )
    yield case(
        "thumbnails of garbage",
        text_in("thumbnails.parquet", "x"),
        "report study",
        2,
        "thumbnails.parquet: damaged",
    )
    yield case(
        "baselines of garbage",
        text_in("baselines.parquet", "x"),
        "report study",
        2,
        "baselines.parquet: damaged",
    )
    yield case(
        "reports.json of garbage", text_in("reports.json", "{"), "report study", 2, "reports.json: damaged"
    )
    yield case("all sorts of garbage", lambda here: [text_in(n, "x")(here) for n in ("RUN/run.json", "split.json",
               "external/x/record.json", "checkpoints/ab/000001.state", "runs/ab.partial/x")], "verify study", 1,
               "5 faults")  # fmt: skip
    yield case(
        "a link out of the study",
        lambda here: (here / "study/runs/zzz").symlink_to("/etc"),
        "verify study",
        1,
        "zzz",
    )
    yield case("a lock of garbage", text_in("study.lock", "{"), "status study", 0, "2 of 2")
    yield case("an unknown configuration", lambda here: None, "compare study unet-bce-b4 nope", 2, "nope")
    yield case("nothing to compare", lambda here: None, "compare study", 2, "two configurations are missing")
    yield case(
        "masks of nothing", lambda here: (here / "masks").mkdir(), "score set masks --study study", 2, "masks"
    )
    yield case("an unknown table", lambda here: None, "table study --format xml", 2, "format|xml")


# Exported files, which are programs


def exported_files() -> Iterator[Case]:
    def case(name: str, make: Make, said: str, command: str = "predict m.onnx set --out out") -> Case:
        return Case("exported files", name, make, command, 2, said, "study")

    def onnx(name: str, make: Callable[[Path, Path], object], said: str) -> Iterator[Case]:
        for engine in ("onnxruntime", "openvino"):
            yield case(
                f"{name}: {engine}",
                lambda here: make(here / "model.onnx", here / "m.onnx"),
                said,
                f"predict m.onnx set --out out --engine {engine}",
            )

    def graph(nodes: Callable[[], list[Any]]) -> Callable[[Path, Path], object]:
        return lambda good, file: forged.forged(good, nodes(), file)

    too_much = r"m\.onnx: (cannot be|needs more|its trial ended)"
    yield from onnx("a loop of 2**62 rounds", graph(forged.endless_loop), "holds a loop")
    yield from onnx("a constant of a terabyte", forged.huge_constant, too_much)
    yield from onnx("a terabyte filled", forged.huge_fill, too_much)
    yield from onnx("an array of 4 TB", graph(lambda: forged.expanded([10**12])), too_much)
    yield from onnx("an array of 16 GB", graph(lambda: forged.expanded([4 * 10**9])), too_much)
    yield from onnx("an operation of its own", forged.own_operation, too_much)
    for place in ("../../../../../etc/passwd", "/dev/zero", "w.bin"):
        yield case(
            f"weights in {place}",
            lambda here, place=place: forged.external_weights(here / "model.onnx", here / "m.onnx", place),
            "weights from another file",
        )
    yield case(
        "300,000 operations",
        lambda here: forged.many_nodes(here / "model.onnx", here / "m.onnx"),
        "more than 100000 operations",
    )
    yield case(
        "graphs 5,000 deep",
        lambda here: forged.nested(here / "model.onnx", here / "m.onnx"),
        "nested too deeply",
    )
    for name, change in {
        "cut short": lambda data: data[: len(data) // 2],
        "empty": lambda data: b"",
        "zeros": lambda data: bytes(10_000),
        "a number without end": lambda data: b"\xff" * 10_000,
        "a pickle": lambda data: pickle.dumps(Evil()),
    }.items():
        yield case(
            name,
            lambda here, change=change: (here / "m.onnx").write_bytes(
                change((here / "model.onnx").read_bytes())
            ),
            r"m\.onnx: (cannot be|was not made)",
        )
    yield case(
        "2 TB, sparse",
        lambda here: os.truncate(shutil.copy(here / "model.onnx", here / "m.onnx"), 2**41),
        "larger",
    )
    yield case("a pipe", lambda here: os.mkfifo(here / "m.onnx"), "not an exported model")
    yield case("a loop, for its card", lambda here: forged.forged(here / "model.onnx", forged.endless_loop(), here / "m.onnx"),
               "holds a loop", "card m.onnx")  # fmt: skip
    yield case("a loop, to be served", lambda here: forged.forged(here / "model.onnx", forged.endless_loop(), here / "m.onnx"),
               "holds a loop", "serve m.onnx --port 0")  # fmt: skip
    for name, (change, said) in {
        "weights far away": (forged.offsets_far_away, r"cannot be"),
        "weights of other sizes": (forged.sizes_wrong, r"cannot be"),
        "entities of a gigabyte": (forged.entities, "declares entities"),
        "a loop": (forged.a_loop, "holds a loop"),
        "an operation of its own": (forged.an_extension, "cannot be"),
        "cut short": (lambda text: text[: len(text) // 2], "cannot be"),
        "empty": (lambda text: "", "cannot be"),
        "100,000 deep": (lambda text: "<a>" * 100_000 + text, "nested too deeply"),
    }.items():
        yield case(
            f"OpenVINO, {name}",
            lambda here, change=change: forged.xml_with(here / "model.xml", here / "m.xml", change),
            said,
            "predict m.xml set --out out",
        )
    yield case(
        "OpenVINO, no weights",
        lambda here: shutil.copy(here / "model.xml", here / "m.xml"),
        r"m\.bin: cannot be read",
        "predict m.xml set --out out",
    )
    yield case(
        "OpenVINO, weights from a device",
        lambda here: (
            shutil.copy(here / "model.xml", here / "m.xml"),
            (here / "m.bin").symlink_to("/dev/zero"),
        ),
        "not a regular file",
        "predict m.xml set --out out",
    )


# What is no file to read, or too much of one


def sparse(name: str, num_bytes: int) -> Make:
    def make(here: Path) -> None:
        with (here / name).open("wb") as stream:
            stream.truncate(num_bytes)

    return make


def workbook(rows: str) -> Make:
    """PH2 with a workbook of these rows."""

    def make(here: Path) -> None:
        make_ph2(here / "set")
        make_workbook(here / "set" / "PH2_dataset.xlsx", rows)

    return make


def long_image(height: int, width: int) -> Make:
    def make(here: Path) -> None:
        Image.new("RGB", (width, height), "grey").save(here / "set" / "images" / "x.png")

    return make


def named_as_formula(here: Path) -> None:
    segstudy.score(here / "set", here / "set" / "masks", here / "study", "=HYPERLINK(1)")


# What was altered behind its back, and data that would give too good a score


def altered_arrays(name: str) -> Make:
    """One byte of each prepared array of this name in the cache."""

    def make(here: Path) -> None:
        for file in (here.parent / "cache" / "prepared").rglob(name):
            content = bytearray(file.read_bytes())
            content[-1] ^= 1
            file.write_bytes(content)

    return make


def altered_table(name: str) -> Make:
    """A row less in a run's table, which is a table as good as any."""

    def make(here: Path) -> None:
        file = run_of(here) / name
        pl.read_parquet(file)[:-1].write_parquet(file)

    return make


def copy_in_test(turn: Callable[[np.ndarray], np.ndarray]) -> Make:
    """The first training image again among the test images, turned."""

    def make(here: Path) -> None:
        rng = np.random.default_rng(5)
        for part, stems in (("train", "abcd"), ("val", "ef"), ("test", "gh")):
            for stem in stems:
                small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
                pixels = np.asarray(small.resize((64, 48), Image.Resampling.BICUBIC))
                if stem == "a":
                    first = pixels
                pixels = np.ascontiguousarray(turn(first)) if stem == "g" else pixels
                save(here / "two" / part / "images" / f"{stem}.png", pixels)
                save(here / "two" / part / "masks" / f"{stem}.png", disc(9, pixels.shape[:2])[1])

    return make


def silent_errors() -> Iterator[Case]:
    def case(name: str, make: Make, command: str, said: str, code: int, needs: str = "study") -> Case:
        most_s = MAX_SECONDS if code else 180  # where it trains
        return Case("silent errors", name, make, command, code, said, needs, most_s=most_s)

    train = f"{SMALL} --out out/study"
    for name in ("images.npy", "masks.npy"):
        yield case(f"a byte of {name}", altered_arrays(name), f"run set {train}", "prepared again", 0)
    for name, command in (("images.parquet", "table study"), ("epochs.parquet", "report study")):
        yield case(f"a row less in {name}", altered_table(name), command, f"{name}: damaged", 2)
    turns: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mirrored": lambda pixels: pixels[:, ::-1],
        "upside down": lambda pixels: pixels[::-1],
        "turned by a quarter": np.rot90,
    }
    for name, turn in turns.items():
        said = "accept-duplicates"
        yield case(f"a training image in test, {name}", copy_in_test(turn), f"run two {train}", said, 2, "")


def doors() -> Iterator[Case]:
    def case(name: str, make: Make, command: str, said: str, code: int = 2, needs: str = "set") -> Case:
        return Case("doors", name, make, command, code, said, needs)

    def nothing(_: Path) -> None: ...

    for device in ("/dev/zero", "/dev/stdin", "/dev/null"):
        yield case(f"ids from {device}", nothing, f"run set --exclude {device}", "no regular file|cannot be")
        yield case(
            f"a study file that leads to {device}",
            lambda here, device=device: (here / "s.toml").symlink_to(device),
            "run s.toml",
            "no regular file|cannot be",
        )
    yield case(
        "ids from a pipe", lambda here: os.mkfifo(here / "ids"), "run set --exclude ids", "not a regular file"
    )
    yield case("ids from this process", nothing, "run set --exclude /proc/self/mem", "cannot be read")
    yield case("ids of a terabyte", sparse("ids", 10**12), "run set --exclude ids", "larger than 16 MB")
    yield case(
        "ids that are no text",
        lambda here: (here / "ids").write_bytes(b"\xff\xfe\xff"),
        "run set --exclude ids",
        "UTF-8",
    )
    yield case(
        "a split file of a terabyte", sparse("s.json", 10**12), "run set --split s.json", "larger than|s.json"
    )
    yield case("a study file of a terabyte", sparse("s.toml", 10**12), "run s.toml", "larger than 16 MB")
    yield case(
        "a study file that is a pipe",
        lambda here: os.mkfifo(here / "s.toml"),
        "run s.toml",
        "not a regular file",
    )
    yield case(
        "a network of a terabyte", sparse("n.py", 10**12), "run set --architecture n.py:N", "larger than|n.py"
    )
    yield case("metadata.csv of a terabyte", sparse("set/metadata.csv", 10**12), CHECK, "larger than 16 MB")
    yield case(
        "metadata.csv from a device",
        lambda here: (here / "set/metadata.csv").symlink_to("/dev/zero"),
        CHECK,
        "not a regular",
    )
    yield case(
        "metadata.csv of a million rows",
        lambda here: (here / "set/metadata.csv").write_text("id\n" + "\n" * 10**6),
        CHECK,
        "too many",
    )
    yield case(
        "metadata.csv of 100,000 columns",
        lambda here: (here / "set/metadata.csv").write_text("id" + ",c" * 10**5 + "\na\n" * 50),
        CHECK,
        "too many",
    )
    for name, rows, said in (
        (
            "a cell far away",
            '<row><c r="A1"/></row><row><c r="XFD1048576"><v>1</v></c></row>',
            "1048576 rows",
        ),
        ("50 MB unpacked", f'<row><c r="A1" t="str"><v>{"x" * 50_000_000}</v></c></row>', "16 MB"),
        ("no XML", "<row>", "mismatched|unreadable"),
    ):
        yield case(f"a workbook with {name}", workbook(rows), CHECK, said, 0, needs="")
    wide = "predict model.onnx set/images --out out"
    yield case(
        "1,100,000 x 10 pixels",
        long_image(10, 1_100_000),
        f"{wide} --probability",
        "17 masks|13 masks",
        0,
        "study",
    )
    yield case(
        "1,100,000 x 10 pixels, drawn over",
        long_image(10, 1_100_000),
        f"{wide} --overlay",
        "65500",
        1,
        "study",
    )
    yield case(
        "10 x 1,100,000 pixels, drawn over",
        long_image(1_100_000, 10),
        f"{wide} --outline",
        "65500",
        1,
        "study",
    )
    yield case("a pipe to be segmented", lambda here: os.mkfifo(here / "x.png"), "predict model.onnx x.png --out out",
               "not a regular file", 1, "study")  # fmt: skip
    yield case(
        "a device to be segmented",
        nothing,
        "predict model.onnx /dev/zero --out out",
        "not a regular file",
        1,
        "study",
    )
    yield case(
        "a score named as a formula", named_as_formula, "table study --format csv", r"'=HYPERLINK", 0, "study"
    )


def command_lines() -> Iterator[Case]:
    def case(command: str, said: str, code: int = 2) -> Case:
        return Case("command lines", command[:70], lambda here: None, command, code, said)

    yield case("frobnicate", "frobnicate")
    yield case("run set --frobnicate", "frobnicate")
    yield case("run set --epochs many", "epochs")
    yield case("run set --epochs -3", "epochs")
    yield case("run set --epochs 0", "epochs")
    yield case("run set --epochs 1e99", "epochs")
    yield case("run set --seeds 0", "seeds")
    yield case("run set --seeds 999999999", "seeds")
    yield case("run set --folds 2", "folds")
    yield case("run set --folds 9999", "folds")
    yield case("run set --image-size 7", "image_size|image size")
    yield case("run set --image-size 99999", "image_size")
    yield case("run set --image-size 32x32x32", "image_size")
    yield case("run set --width 999999999", "width")
    yield case("run set --batch-size 0", "batch_size")
    yield case("run set --batch-size ,", "batch.size")
    yield case("run set --architecture resnet", "unknown architecture 'resnet'")
    yield case("run set --architecture ''", "has no value")
    yield case("run set --architecture unet:skips=maybe", "skips")
    yield case("run set --loss tversky:fp_weight=nan", "fp_weight")
    yield case("run set --loss dice:nope=1", "no option 'nope'")
    yield case("run set --loss gone.py:loss", "no such file")
    yield case("run set --protocol slow", "unknown protocol 'slow'")
    yield case("run set --set nonsense", "field=value")
    yield case("run set --set nonsense=1", "unknown field 'nonsense'")
    yield case("run set --set lr=", "lr")
    yield case("run set --set lr=nan", "lr")
    yield case("run set --set =3", "unknown field ''")
    yield case("run set --set micro_batch=0", "micro_batch")
    yield case("run set --workers -1", "workers")
    yield case("run set --threads -1", "threads")
    yield case("run set --checkpoint-every -1", "checkpoint-every")
    yield case("run set --device tpu", "device|tpu")
    yield case("run set --executor cloud", "executor|cloud")
    yield case("run set --split gone.json", "gone.json")
    yield case("run set --exclude gone.txt", "gone.txt")
    yield case("run set --exclude set", "set")
    yield case(f"run set --out set/images/a.png {SMALL}", "cannot be written")
    yield case(f"run set --out /proc/nowhere {SMALL}", "cannot be written")
    yield case(f"run set --out {'x' * 300} {SMALL}", "too long")
    yield case("run ''", "no known layout|lies above")
    yield case("run gone", "no such folder or study file")
    yield case("run set --out \udcff", "UTF-8")
    yield case("run gone.toml", "no such file")
    yield case("run /etc/passwd", "is a file")
    yield case("status set", "is not a study")
    yield case("report gone", "is not a study")
    yield case("verify gone", "no such file or folder")
    yield case("verify set", "is not a study")
    yield case("evaluate gone set", "gone")
    yield case("evaluate set set", "set")
    yield case("score set set --study gone", "is not a study")
    yield case("compare one", "compare|DIR")
    yield case("check", "check|DATA|argument")
    yield case("check set --foreground x", "foreground")
    yield case("check set --reader nope", "unknown reader 'nope'")
    yield case("synth set", "not empty")
    yield case("synth new -n 0", "n \\(1 to")
    yield case("synth new -n 99999999", "n \\(1 to")
    yield case("synth set/images/a.png/new", "cannot be written")
    yield case("init gone", "no such folder")


FAMILIES = (
    images,
    masks,
    folders,
    layouts,
    study_files,
    model_files,
    study_folders,
    exported_files,
    silent_errors,
    doors,
    command_lines,
)


def all_cases() -> list[Case]:
    return [case for family in FAMILIES for case in family()]


def main() -> None:
    wanted = sys.argv[1:]
    folder = Path(tempfile.mkdtemp())
    try:
        corpus = Corpus(folder)
        found = [
            corpus.run(case)
            for case in all_cases()
            if not wanted or case.family in wanted or case.name in wanted
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = Table("family", "cases", "handled", "refused", "taken for what they are", "slowest")
    for family in dict.fromkeys(each.case.family for each in found):
        here = [each for each in found if each.case.family == family]
        codes = Counter(bool(each.case.code) for each in here)
        handled = sum(not each.wrong for each in here)
        slowest = max(each.seconds for each in here)
        table.add_row(
            family, str(len(here)), str(handled), str(codes[True]), str(codes[False]), f"{slowest:.1f} s"
        )
    handled = sum(not each.wrong for each in found)
    table.add_row("all", str(len(found)), str(handled), "", "", "", style="bold")
    console = Console(width=150)
    console.print(table)
    for each in found:
        if each.wrong:
            console.print(
                f"{each.case.family}: {each.case.name}: {each.wrong}", markup=False, highlight=False
            )
    sys.exit(handled < len(found))


if __name__ == "__main__":
    main()
