"""NIfTI volumes as images: every slice along the third axis is a frame that Pillow can open.

The order of the file counts, and nothing is turned or resampled: slice k is ``array[:, :, k]`` of nibabel.
The second axis runs down the rows, the first along the columns. So slice numbers are those of any script, and
image and mask meet pixel by pixel. The scaling of the header (``scl_slope``, ``scl_inter``) is applied.
"""

import gzip
import io
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray
from PIL import Image, ImageFile

from segstudy.data.content_cache import CONTENTS
from segstudy.data.image_errors import FormatError
from segstudy.data.image_formats import require

MAX_UNPACKED_BYTES = 2**30  # of a volume that is compressed: it is kept in memory
MAX_SLICES = 100_000
PIECE_BYTES = 2**22
HEADER_BYTES = 540  # of version 2, the longer one
GZIP = b"\x1f\x8b"
DAMAGED = "a damaged NIfTI file; copy or export it again"
_RAW_MODES = {"L": "L", "I;16": "I;16", "I": "I;32NS", "F": "F;32NF"}


@dataclass(frozen=True)
class Header:
    """What a volume's header says.

    Attributes:
        width, height, num_slices: of its three axes.
        dtype: of the stored values.
        offset: of the first value in the file.
        slope, inter: what stored values are multiplied by, and what is added then.
        affine: ``(4, 4)``, from indices to mm; None where the file says none.
    """

    width: int
    height: int
    num_slices: int
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    affine: NDArray[np.float64] | None

    @property
    def slice_bytes(self) -> int:
        return self.width * self.height * self.dtype.itemsize

    @property
    def num_bytes(self) -> int:
        """Of the file, not compressed."""
        return self.offset + self.num_slices * self.slice_bytes

    @property
    def mode(self) -> str:
        """Pillow's, of the values after scaling."""
        if self.dtype.kind == "f" or self.slope % 1 or self.inter % 1:
            return "F"
        if (self.slope, self.inter) == (1, 0) and self.dtype in (np.uint8, np.uint16):
            return "L" if self.dtype == np.uint8 else "I;16"
        return "I"


def register() -> None:
    """Make Pillow read NIfTI files."""
    Image.register_open(NiftiImageFile.format, NiftiImageFile)


class NiftiImageFile(ImageFile.ImageFile):
    """A volume; ``seek`` chooses the slice."""

    format = "NIFTI"
    format_description = "NIfTI volume"

    def _open(self) -> None:
        require(self.format, cast(BinaryIO, self.fp))
        self.header = read_header(cast(BinaryIO, self.fp))
        self._mode, self._size = self.header.mode, (self.header.width, self.header.height)
        self.n_frames, self._index = self.header.num_slices, 0
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 0, _RAW_MODES[self._mode])]

    def seek(self, frame: int) -> None:
        if not 0 <= frame < self.n_frames:
            raise EOFError(f"no slice {frame} of {self.n_frames}")
        self._index = frame

    def tell(self) -> int:
        return self._index

    def load(self) -> Any:
        if self.tile and self.fp:
            self.fp = io.BytesIO(_values(cast(BinaryIO, self.fp), self.header, self._index).tobytes())
        return super().load()


def read_header(stream: BinaryIO) -> Header:
    """Read the header of a volume.

    Raises:
        FormatError: not three axes, values that are no numbers, or damaged.
    """
    stream.seek(0)
    is_packed = stream.read(2) == GZIP
    try:
        header = _parsed(header_in(stream))
    except (OSError, EOFError, ArithmeticError, ValueError, TypeError, HeaderDataError, zlib.error):
        raise FormatError(DAMAGED) from None
    if is_packed and header.num_bytes > MAX_UNPACKED_BYTES:
        detail = f"more than {MAX_UNPACKED_BYTES // 2**30} GiB when it is unpacked, which are kept in memory"
        raise FormatError(f"{detail}; unpack it with gunzip: of a .nii file each slice is read alone")
    if not is_packed and header.num_bytes > stream.seek(0, io.SEEK_END):
        raise FormatError(f"cut off: a header for {header.num_bytes:,} bytes; copy or export it again")
    return header


def header_in(stream: BinaryIO) -> Any:
    """Return nibabel's header of a volume as it is, unchecked."""
    stream.seek(0)
    is_packed = stream.read(2) == GZIP
    stream.seek(0)
    head = gzip.GzipFile(fileobj=stream).read(HEADER_BYTES) if is_packed else stream.read(HEADER_BYTES)
    kind: Any = nibabel.Nifti2Header if head[4:8] == b"n+2\0" else nibabel.Nifti1Header
    return kind(head[: kind.sizeof_hdr], check=False)


def with_values(header: Any, values: NDArray[Any]) -> bytes:
    """Return a volume ``(width, height, num_slices)`` as the bytes of a NIfTI file with another's geometry.

    Args:
        header: of the other, from ``header_in``; of its texts and ranges of values nothing is kept.
        values: stored in their own type.
    """
    header = header.copy()
    header.set_data_dtype(values.dtype)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = header["aux_file"] = header["intent_name"] = b""
    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    content: bytes = kind(values, None, header).to_bytes()
    return content


def _parsed(found: Any) -> Header:
    slope, inter = found.get_slope_inter()
    return Header(
        *_extent(tuple(map(int, found.get_data_shape()))),
        _number(found.get_data_dtype()),
        int(found.get_data_offset()),
        1.0 if slope is None else float(slope),
        0.0 if inter is None else float(inter),
        _affine(found),
    )


def _extent(shape: tuple[int, ...]) -> tuple[int, int, int]:
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 2:
        shape = (*shape, 1)
    named = " x ".join(map(str, shape))
    if len(shape) > 3:
        detail = f"{len(shape)} axes ({named}): several volumes, as channels or times; which one is meant?"
        raise FormatError(f"{detail} Write that one as a file of three axes (nibabel: img.slicer[..., 0])")
    if len(shape) < 2 or min(shape) < 1 or shape[2] > MAX_SLICES:
        raise FormatError(f"axes of {named or 'no'} voxels; write a volume of three axes")
    return shape[0], shape[1], shape[2]


def _number(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise FormatError(f"holds values of type {dtype}, no single numbers; write grey values")
    return dtype


def _affine(header: Any) -> NDArray[np.float64] | None:
    if not (header["sform_code"] > 0 or header["qform_code"] > 0):
        return None
    affine = np.asarray(header.get_best_affine(), np.float64)
    return affine if np.isfinite(affine).all() else None


def _values(stream: BinaryIO, header: Header, index: int) -> NDArray[Any]:
    """The values of a slice ``(height, width)``, scaled, in one of Pillow's types."""
    stored = np.frombuffer(_slice(stream, header, index), header.dtype)
    stored = stored.reshape(header.height, header.width)
    match header.mode:
        case "L" | "I;16":
            return stored.astype(stored.dtype.newbyteorder("<"))
        case "I" if header.slope == 1 and header.inter == 0:
            return _in_32_bits(stored)
    scaled = stored.astype(np.float64) * header.slope + header.inter
    return scaled.astype(np.float32) if header.mode == "F" else _in_32_bits(scaled)


def _in_32_bits(values: NDArray[Any]) -> NDArray[np.int32]:
    limits = np.iinfo(np.int32)
    if values.min() < limits.min or values.max() > limits.max:
        raise FormatError("holds numbers of more than 32 bits; write smaller ones")
    return values.astype(np.int32)


def _slice(stream: BinaryIO, header: Header, index: int) -> memoryview | bytes:
    start = header.offset + index * header.slice_bytes
    stream.seek(0)
    if stream.read(2) == GZIP:
        volume = CONTENTS.get(stream, lambda: (_unpack(stream, header.num_bytes), header.num_bytes))
        return memoryview(volume)[start : start + header.slice_bytes]
    stream.seek(start)
    found = stream.read(header.slice_bytes)
    if len(found) < header.slice_bytes:
        raise FormatError(f"cut off within slice {index}; copy or export it again")
    return found


def _unpack(stream: BinaryIO, num_bytes: int) -> bytearray:
    """All bytes that the header speaks of; the checksum of the file is compared."""
    stream.seek(0)
    volume = bytearray(num_bytes)
    try:
        with gzip.GzipFile(fileobj=stream) as packed:
            for start in range(0, num_bytes, PIECE_BYTES):
                piece = memoryview(volume)[start : start + PIECE_BYTES]
                if packed.readinto(piece) < len(piece):
                    raise EOFError
            packed.read(1)  # the end of the file, whose checksum is compared then
    except (OSError, EOFError, zlib.error):
        raise FormatError("damaged or cut off while it was compressed; copy or export it again") from None
    return volume
