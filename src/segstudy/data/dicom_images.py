"""DICOM files as images: Pillow opens them, after ``register``, by pydicom.

Values are those of the modality: its lookup table or its slope and intercept are applied, its window is not,
because one scale holds for all images of a data set. If zero is white (MONOCHROME1), values are reversed
within the bits that are stored. Colours become RGB. Frames can be chosen by ``seek``.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, JPEGExtended12Bit

from segstudy.data.bare_dicom import EXPLICIT
from segstudy.data.content_cache import CONTENTS
from segstudy.data.dicom_files import (
    BROKEN,
    DAMAGED,
    read_elements,
    read_meta,
    refused,
    without_pixels,
)
from segstudy.data.image_errors import FormatError
from segstudy.data.image_formats import require

DECODERS = ("pydicom", "pillow", "pyjpegls", "pylibjpeg", "gdcm")  # in the order in which they are tried
MAX_FRAMES = 100_000
MAX_CACHED_BYTES = 2**30
NAMES = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ModalityLUTSequence"),
    *("RescaleSlope", "RescaleIntercept", "DoseGridScaling", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *(
        f"{colour}PaletteColorLookupTable{kind}"
        for colour in ("Red", "Green", "Blue", "Alpha")
        for kind in ("Data", "Descriptor")
    ),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
)
_RAW_MODES = {"L": "L", "RGB": "RGB", "I;16": "I;16", "I": "I;32NS", "F": "F;32NF"}


def register() -> None:
    """Make Pillow read DICOM files."""
    Image.register_open(DicomImageFile.format, DicomImageFile)


class DicomImageFile(ImageFile.ImageFile):
    """A picture; ``seek`` chooses the frame."""

    format = "DICOM"
    format_description = "DICOM picture"

    def _open(self) -> None:
        require(self.format, cast(BinaryIO, self.fp))
        with refused():
            elements = _header(cast(BinaryIO, self.fp))
            self._mode = _mode(elements)
            self._size = _whole(elements, "Columns"), _whole(elements, "Rows")
            self.n_frames, self._index = _whole(elements, "NumberOfFrames", 1), 0
            self.info["white_is_zero"] = _is_white_zero(elements)
        if min(*self._size, self.n_frames) < 1 or self.n_frames > MAX_FRAMES:
            raise FormatError(DAMAGED)
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 0, _RAW_MODES[self._mode])]

    def seek(self, frame: int) -> None:
        if not 0 <= frame < self.n_frames:
            raise EOFError(f"no frame {frame + 1} of {self.n_frames}")
        self._index = frame

    def tell(self) -> int:
        return self._index

    def load(self) -> Any:
        if self.tile and self.fp:
            elements = _with_pixels(cast(BinaryIO, self.fp), self.n_frames)
            values = _values(elements, self._index, self._mode)
            if values.shape[1::-1] != self._size:
                raise FormatError(DAMAGED)
            self.fp = io.BytesIO(values.tobytes())
        return super().load()


def _header(stream: BinaryIO) -> FileDataset:
    meta = read_meta(stream)
    elements = read_elements(stream, NAMES)
    if "Rows" not in elements or "Columns" not in elements:
        raise without_pixels(meta)
    _check_syntax(meta.syntax, _whole(elements, "BitsStored", 8))
    if _whole(elements, "SamplesPerPixel", 1) not in (1, 3):
        raise FormatError("neither grey nor RGB; save it as one of them")
    if _whole(elements, "SamplesPerPixel", 1) == 3 and _whole(elements, "BitsAllocated", 8) != 8:
        raise FormatError("colours of more than 8 bits; save it with 8 bits", "bands")
    return elements


def _check_syntax(syntax: str, bits: int) -> None:
    """See that there is a decoder, for values of so many bits.

    Raises:
        FormatError: there is none, or its package is missing.
    """
    uid = UID(syntax)
    if syntax and not uid.is_transfer_syntax:
        raise FormatError(f"in an unknown transfer syntax; {_SAVE}")
    if not uid.is_compressed or uid.is_deflated:
        return
    try:
        plugins = get_decoder(uid).available_plugins
    except NotImplementedError:
        raise FormatError(f"compressed as {uid.name}, which is not read; {_SAVE}") from None
    if uid == JPEGExtended12Bit and bits > 8 and "pylibjpeg" not in plugins:
        detail = f"compressed as JPEG of {bits} bits, for which packages are missing"
        raise FormatError(f"{detail}: pip install pylibjpeg pylibjpeg-libjpeg (GPL); or {_SAVE}")
    if not plugins:
        detail = f"compressed as {uid.name}, for which a package is missing: pip install 'segstudy[medical]'"
        raise FormatError(f"{detail}; or {_SAVE}")


_SAVE = "save it without compression (dcmtk: dcmdjpeg, dcmdjpls; gdcmconv --raw)"


def _whole(elements: Dataset, name: str, otherwise: int = 0) -> int:
    found = elements.get(name)
    return otherwise if found is None else int(found)


def _with_pixels(stream: BinaryIO, num_frames: int) -> FileDataset:
    """All elements that a picture needs; of a file with several frames they are kept for the next one."""

    def make() -> tuple[FileDataset, int]:
        return read_elements(stream, NAMES, with_pixels=True), num_bytes

    num_bytes = stream.seek(0, io.SEEK_END)
    if num_frames > 1 and num_bytes <= MAX_CACHED_BYTES:
        kept: FileDataset = CONTENTS.get(stream, make)
        return kept
    return make()[0]


def _values(elements: FileDataset, index: int, mode: str) -> NDArray[Any]:
    """The values of a frame, ``(H, W)`` or ``(H, W, 3)``, in Pillow's type for the mode."""
    with refused("its picture is damaged or cut off; copy or export the file again"):
        stored = _decoded(elements, index)
        if mode == "RGB":
            return _colours(stored, elements)
        values = _of_modality(_positive(stored, elements), elements, index)
    kinds: dict[str, Any] = {"L": np.uint8, "I;16": np.dtype("<u2"), "I": np.int32, "F": np.float32}
    if mode == "I" and (values.min() < -(2**31) or values.max() >= 2**31):
        raise FormatError("holds numbers of more than 32 bits; save it with fewer")
    return np.ascontiguousarray(values.astype(kinds[mode]))


def _decoded(elements: FileDataset, index: int) -> NDArray[Any]:
    """The stored values of a frame, by the first decoder that can."""
    syntax = UID(str(elements.file_meta.get("TransferSyntaxUID", EXPLICIT)))
    if not syntax.is_compressed or syntax.is_deflated:
        return pixel_array(elements, index=index)
    available = get_decoder(syntax).available_plugins
    for plugin in (chosen := [each for each in DECODERS if each in available]):
        with suppress(*(BROKEN if plugin != chosen[-1] else ())):
            return pixel_array(elements, index=index, decoding_plugin=plugin)
    raise ValueError("no decoder")


def _colours(stored: NDArray[Any], elements: FileDataset) -> NDArray[np.uint8]:
    if _is_palette(elements):
        stored = apply_color_lut(stored, elements)[..., :3]
        if stored.dtype.itemsize > 1:
            stored = stored >> 8
    return np.ascontiguousarray(stored.astype(np.uint8))


def _positive(stored: NDArray[Any], elements: Dataset) -> NDArray[Any]:
    """The stored values without what unused bits hold; reversed where zero is white."""
    if stored.dtype.kind == "f":
        return stored
    bits = _whole(elements, "BitsStored", 8 * stored.dtype.itemsize)
    unused = 8 * stored.dtype.itemsize - bits
    if _whole(elements, "BitsAllocated", 8) > 1 and 0 < unused < 8 * stored.dtype.itemsize:
        stored = (stored << unused) >> unused
    if not _is_white_zero(elements):
        return stored
    largest = -1 if stored.dtype.kind == "i" else 2**bits - 1
    return np.asarray(largest - stored.astype(np.int64))


def _of_modality(values: NDArray[Any], elements: Dataset, index: int) -> NDArray[Any]:
    if "ModalityLUTSequence" in elements:
        return np.asarray(apply_modality_lut(values, elements))
    slope, intercept = _rescaling(elements, index)
    if (slope, intercept) == (1, 0):
        return values
    scaled = values.astype(np.float64) * slope + intercept
    return np.rint(scaled) if not (slope % 1 or intercept % 1) else scaled


def _rescaling(elements: Dataset, index: int) -> tuple[float, float]:
    """Slope and intercept, of the file, of all frames or of one."""
    if "DoseGridScaling" in elements:
        return float(elements.DoseGridScaling), 0.0
    for each in (elements, *_groups(elements, index)):
        if each.get("RescaleSlope") is not None:
            return float(each.RescaleSlope), float(each.get("RescaleIntercept") or 0)
    return 1.0, 0.0


def _groups(elements: Dataset, index: int) -> Iterator[Dataset]:
    """What an enhanced object says of the values of a frame, and of all frames."""
    frames = elements.get("PerFrameFunctionalGroupsSequence") or []
    for group in (*frames[index : index + 1], *(elements.get("SharedFunctionalGroupsSequence") or [])):
        yield from group.get("PixelValueTransformationSequence") or []


def _mode(elements: Dataset) -> str:
    """Pillow's mode of the values after the modality's transformation; the same for all frames."""
    if _whole(elements, "SamplesPerPixel", 1) == 3 or _is_palette(elements):
        return "RGB"
    if "ModalityLUTSequence" in elements:
        return "I"
    if "BitsStored" not in elements:  # float pixel data
        return "F"
    frames = elements.get("PerFrameFunctionalGroupsSequence") or [None]
    scales = {_rescaling(elements, index) for index in range(len(frames))}
    if any(slope % 1 or intercept % 1 for slope, intercept in scales):
        return "F"
    bits = _whole(elements, "BitsAllocated", 8)
    is_signed = _whole(elements, "PixelRepresentation") == 1
    if scales != {(1.0, 0.0)} or is_signed or bits > 16:
        return "I"
    return "L" if bits <= 8 else "I;16"


def _is_palette(elements: Dataset) -> bool:
    return str(elements.get("PhotometricInterpretation", "")).strip() == "PALETTE COLOR"


def _is_white_zero(elements: Dataset) -> bool:
    return str(elements.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"
