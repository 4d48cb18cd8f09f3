"""True masks in as few bits as their classes need: one plane of bits for two classes, two for four."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segstudy.core.outputs import IGNORED, IGNORED_BITS, Outputs


def packed_mask(mask: NDArray[Any], outputs: Outputs) -> NDArray[np.uint8]:
    """Pack a mask ``(H, W)``; every plane begins on a byte of its own."""
    if mask.dtype == np.bool_:
        return np.packbits(mask)
    codes, last = mask, len(outputs.names)
    if outputs.has_ignored and outputs.task == "multilabel":
        codes = np.where(mask & IGNORED_BITS, np.uint16(1 << last), mask)
    elif outputs.has_ignored:
        codes = np.where(mask == IGNORED, np.uint8(last), mask)
    return np.concatenate([np.packbits(codes >> plane & 1) for plane in range(_num_planes(outputs))])


def unpacked_mask(bits: NDArray[np.uint8], shape: tuple[int, int], outputs: Outputs) -> NDArray[Any]:
    """Return what ``packed_mask`` was called with."""
    count, dtype = shape[0] * shape[1], outputs.mask_dtype
    if dtype == np.bool_:
        return np.unpackbits(bits, count=count).view(np.bool_).reshape(shape)
    codes = np.zeros(count, dtype)
    for plane, packed in enumerate(bits.reshape(_num_planes(outputs), -1)):
        codes |= np.unpackbits(packed, count=count).astype(dtype) << plane
    if outputs.has_ignored:
        last = len(outputs.names)
        is_bits = outputs.task == "multilabel"
        codes[codes == (1 << last if is_bits else last)] = IGNORED_BITS if is_bits else IGNORED
    return codes.reshape(shape)


def _num_planes(outputs: Outputs) -> int:
    num_codes = len(outputs.names) + outputs.has_ignored
    return num_codes if outputs.task == "multilabel" else (num_codes - 1).bit_length()
