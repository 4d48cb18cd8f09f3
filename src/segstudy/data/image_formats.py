"""The image formats that are read, with their suffixes; and what other files are, by their first bytes.

Everything that looks for images goes by this table: readers, masks of other tools, ``predict`` and ``serve``.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImageFormat:
    """A format whose files are images.

    Attributes:
        title: for people.
        suffixes: in small letters; what lies in a file counts, not its suffix.
        package: that has to be installed to read it, beside Pillow; ``segstudy[heif]`` brings it.
        register: the function of that package that makes Pillow read the format.
    """

    title: str
    suffixes: tuple[str, ...]
    package: str = ""
    register: str = ""


# By Pillow's names. Pillow knows more formats, and starts Ghostscript for some of them.
FORMATS: dict[str, ImageFormat] = {
    "PNG": ImageFormat("PNG", (".png",)),
    "JPEG": ImageFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")),
    "BMP": ImageFormat("BMP", (".bmp",)),
    "TIFF": ImageFormat("TIFF", (".tif", ".tiff")),
    "GIF": ImageFormat("GIF", (".gif",)),
    "WEBP": ImageFormat("WebP", (".webp",)),
    "PPM": ImageFormat("PNM", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm")),
    "JPEG2000": ImageFormat("JPEG 2000", (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")),
    "AVIF": ImageFormat("AVIF", (".avif",)),
    "HEIF": ImageFormat("HEIC", (".heic", ".heif", ".hif"), "pillow_heif", "register_heif_opener"),
}
SUFFIXES = frozenset(suffix for each in FORMATS.values() for suffix in each.suffixes)
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2"}
)
TITLES = ", ".join(each.title for each in FORMATS.values())
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
SNIFFED_BYTES = 1024

_IMAGES: Mapping[bytes, str] = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"GIF8": "GIF",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    **dict.fromkeys((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF"), "PPM"),
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "JPEG2000"),
}
# Of files that people keep where images are expected: what they are, and what to do.
_OTHERS: Mapping[bytes, str] = {
    b"version https://git-lfs": "a pointer of Git LFS to content that was not fetched; run `git lfs pull`",
    b"/annex/objects/": "a pointer of git-annex to content that was not fetched; run `git annex get`",
    b"\x93NUMPY": "a NumPy array (.npy); save it as PNG or TIFF",
    b"PK\x03\x04": "a ZIP archive (as .npz, .ora and .xlsx are); unpack it, or save its images as PNG",
    b"\x1f\x8b": "compressed with gzip (as .nii.gz is); unpack it, and save its slices as PNG or TIFF",
    b"\x89HDF": "an HDF5 file; save its images as PNG or TIFF",
    b"8BPS": "a Photoshop document (PSD); export it as PNG",
    b"%PDF": "a PDF; export its pictures as PNG",
    b"gimp xcf": "a GIMP document (XCF); export it as PNG",
    b"\xff\x0a": "a JPEG XL image; save it as PNG",
    b"\0\0\0\x0cJXL ": "a JPEG XL image; save it as PNG",
    b"MATLAB": "a MATLAB file; save its images as PNG or TIFF",
    b"ZISRAW": "a Zeiss CZI file; export its planes as TIFF",
    b"<svg": "an SVG drawing; export it as PNG",
    b"<?xml": "an XML file; save images as PNG",
}


def format_in(head: bytes) -> str | None:
    """The key of ``FORMATS`` that a file's first bytes belong to; None for no image."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, len(_first_box(head)), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIF" if brands & set(HEIF_BRANDS) else None
    for magic, name in _IMAGES.items():
        if head.startswith(magic) and (name != "PPM" or head[2:3].isspace() or head[2:3] == b"#"):
            return name
    return None


def _first_box(head: bytes) -> bytes:
    return head[: min(len(head), int.from_bytes(head[:4], "big"))]


def holds_image(file: Path) -> bool:
    """Whether a file's first bytes are those of an image, whatever its suffix; False if it cannot be read.

    Of raw photographs they are a TIFF's, but what would be read is a small preview.
    """
    if file.suffix.lower() in RAW_SUFFIXES:
        return False
    try:
        with file.open("rb") as stream:
            return format_in(stream.read(SNIFFED_BYTES)) is not None
    except OSError:
        return False


def unread(head: bytes) -> str:
    """What a file is that is no readable image, and what to do, by its first bytes."""
    if not head:
        return "an empty file (0 bytes); replace it by an image"
    if head[128:132] == b"DICM":
        return "not an image, but a DICOM file; save it as PNG or TIFF"
    found = format_in(head)
    if found and (package := FORMATS[found].package) and not _is_installed(package):
        return f"a {FORMATS[found].title} image, for which a package is missing; pip install 'segstudy[heif]'"
    if found:
        return f"a damaged {FORMATS[found].title} image; copy or export the file again"
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            return f"not an image, but {what}"
    return "not an image, or in a format that is not understood; replace it by a PNG, JPEG, BMP or TIFF"


def why_unread(file: Path) -> str:
    """As ``unread``, of a file that may be a link to nothing."""
    if file.suffix.lower() in RAW_SUFFIXES:
        return "a raw photograph; develop it, and save it as PNG or TIFF"
    try:
        with file.open("rb") as stream:
            return unread(stream.read(SNIFFED_BYTES))
    except FileNotFoundError:
        return NO_CONTENT if file.is_symlink() else "no such file; check the path"
    except OSError as error:
        return f"cannot be read ({error.strerror}); check its permissions"


NO_CONTENT = "a link to content that is not there; fetch it first (git annex get, dvc pull), or copy it"


def prepare_for(head: bytes) -> tuple[str, ...]:
    """Pillow's names of the formats to try; what needs a package of its own is registered first."""
    names = tuple(name for name, each in FORMATS.items() if not each.package)
    found = format_in(head)
    if found is None or not (package := FORMATS[found].package) or not _is_installed(package):
        return names
    getattr(importlib.import_module(package), FORMATS[found].register)()
    return (*names, found)


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:
        return False
