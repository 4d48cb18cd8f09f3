"""The image formats that are read, with their suffixes; and what other files are, by their first bytes.

Everything that looks for images goes by this table: readers, masks of other tools, ``predict`` and ``serve``.
"""

import importlib
import importlib.util
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from segstudy.data.bare_dicom import first_elements

MIN_DIGITS = 3  # of the number in a frame's name


@dataclass(frozen=True)
class ImageFormat:
    """A format whose files are images.

    Attributes:
        title: for people.
        suffixes: in small letters; what lies in a file counts, not its suffix.
        package: that has to be installed to read it, beside Pillow.
        extra: of segstudy, which brings that package.
        register: the function that makes Pillow read the format, as ``module:name``.
        frame: what one of several images in a file is called, where each is a sample, as in ``slice-000``;
            nothing where a file with several is refused.
        first_frame: the number of the first of them.
    """

    title: str
    suffixes: tuple[str, ...]
    package: str = ""
    extra: str = ""
    register: str = ""
    frame: str = ""
    first_frame: int = 0

    def frame_names(self, number: int) -> list[str]:
        """The names of so many images in a file: ``slice-000``, ``slice-001``, ..."""
        digits = max(MIN_DIGITS, len(str(number - 1 + self.first_frame)))
        return [f"{self.frame}-{i + self.first_frame:0{digits}d}" for i in range(number)]


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
    "HEIF": ImageFormat(
        "HEIC", (".heic", ".heif", ".hif"), "pillow_heif", "heif", "pillow_heif:register_heif_opener"
    ),
    "DICOM": ImageFormat(
        "DICOM",
        (".dcm", ".dicom"),
        "pydicom",
        "medical",
        "segstudy.data.dicom_images:register",
        frame="frame",
        first_frame=1,  # as in the standard
    ),
    "NIFTI": ImageFormat(
        "NIfTI",
        (".nii", ".nii.gz"),
        "nibabel",
        "medical",
        "segstudy.data.nifti_images:register",
        frame="slice",
    ),
}
SUFFIXES = frozenset(suffix for each in FORMATS.values() for suffix in each.suffixes)
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2"}
)
TITLES = ", ".join(each.title for each in FORMATS.values())
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
SNIFFED_BYTES = 1024
NIFTI_HEADER_BYTES = 348  # of version 1

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
    b"\x1f\x8b": "compressed with gzip; unpack it",
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


def image_suffix(name: str) -> str:
    """The suffix of an image's name in small letters, such as ``.png`` or ``.nii.gz``; nothing of others."""
    parts = name.lower().rsplit(".", 2)
    for number in (2, 1):
        suffix = "".join(f".{part}" for part in parts[-number:])
        if len(parts) > number and len(name) > len(suffix) and suffix in SUFFIXES:
            return suffix
    return ""


def stem_of(name: str) -> str:
    """A file's name or path without its suffix, all of it: ``a`` of ``a.nii.gz``."""
    suffix = image_suffix(name) or Path(name).suffix
    return name[: len(name) - len(suffix)]


def format_of(file: Path) -> ImageFormat | None:
    """The format of a file: mostly by its suffix, else by its first bytes; None of other files.

    Those whose files may hold several samples are always told by the first bytes.
    """
    suffix = image_suffix(file.name)
    found = next((each for each in FORMATS.values() if suffix in each.suffixes), None)
    if found and not found.frame:
        return found
    try:
        with file.open("rb") as stream:
            key = format_in(stream.read(SNIFFED_BYTES))
    except OSError:
        return None
    return FORMATS[key] if key else None


def format_in(head: bytes) -> str | None:
    """The key of ``FORMATS`` that a file's first bytes belong to; None for no image."""
    if head[128:132] == b"DICM" or first_elements(head):  # the former may begin as a TIFF does
        return "DICOM"
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
    return "NIFTI" if _is_nifti(_unpacked(head)) else None


def _unpacked(head: bytes) -> bytes:
    """The beginning of what gzip has compressed; of other files the bytes as they are."""
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, NIFTI_HEADER_BYTES)
    except zlib.error:
        return b""


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def require(name: str, stream: BinaryIO) -> None:
    """Let Pillow try its other formats where a file's first bytes are not of this one.

    Raises:
        SyntaxError: what Pillow takes for that.
    """
    stream.seek(0)
    if format_in(stream.read(SNIFFED_BYTES)) != name:
        raise SyntaxError(f"no {name}")
    stream.seek(0)


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
    found = format_in(head)
    if found and (missing := without_package(FORMATS[found])):
        return missing
    if found:
        return f"a damaged {FORMATS[found].title} image; copy or export the file again"
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            return f"not an image, but {what}"
    return "not an image, or in a format that is not understood; replace it by a PNG, JPEG, BMP or TIFF"


def without_package(kind: ImageFormat) -> str:
    """What to say where the package that reads a format is missing; nothing where it is there."""
    if not kind.package or _is_installed(kind.package):
        return ""
    return f"a {kind.title} image, for which a package is missing; pip install 'segstudy[{kind.extra}]'"


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
    if found is None or not FORMATS[found].package or without_package(FORMATS[found]):
        return names
    module, _, name = FORMATS[found].register.partition(":")
    getattr(importlib.import_module(module), name)()
    return (found,)  # alone: a DICOM file may begin as a TIFF does


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:
        return False
