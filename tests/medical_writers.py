"""DICOM, DICOM-SEG and NIfTI files from known pixels, written by pydicom and nibabel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
Array = NDArray[Any]


def dicom(pixels: Array, sop_class: str = SECONDARY, **elements: Any) -> FileDataset:
    """A file of one picture ``(H, W)`` or ``(H, W, 3)``, or of frames ``(N, H, W)``."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    found.SOPClassUID, found.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    found.PatientName, found.PatientID = "Doe^Jane", "1234567"
    is_colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.ndim == 3 and not is_colour:
        found.NumberOfFrames = len(pixels)
    found.Rows, found.Columns = pixels.shape[:2] if is_colour else pixels.shape[-2:]
    found.SamplesPerPixel = 3 if is_colour else 1
    found.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        found.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    found.BitsAllocated = found.BitsStored = bits
    found.HighBit, found.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    found.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(found, name, value)
    found.HighBit = found.BitsStored - 1
    return found


def save_dicom(file: Path, pixels: Array, **elements: Any) -> FileDataset:
    file.parent.mkdir(parents=True, exist_ok=True)
    found = dicom(pixels, **elements)
    found.save_as(file, enforce_file_format=True)
    return found


def with_items(**elements: Any) -> Dataset:
    found = Dataset()
    for name, value in elements.items():
        setattr(found, name, value)
    return found


def segmentation(
    images: Sequence[FileDataset],
    frames: Sequence[tuple[int, int, Array]],
    labels: Mapping[int, str],
    fractional: bool = False,
) -> FileDataset:
    """A DICOM-SEG of these images.

    Args:
        images: it refers to.
        frames: the position of the image, the number of the segment, and values ``(H, W)``.
        labels: of the segments.
        fractional: values are 0 to 255; else booleans.
    """
    stack = np.stack([values for *_, values in frames])
    found = dicom(stack.astype(np.uint8), SEGMENTATION)
    found.SegmentationType = "FRACTIONAL" if fractional else "BINARY"
    if fractional:
        found.SegmentationFractionalType, found.MaximumFractionalValue = "PROBABILITY", 255
    else:
        found.BitsAllocated = found.BitsStored = 1
        found.HighBit = 0
        packed = np.packbits(stack.astype(bool).ravel(), bitorder="little").tobytes()
        found.PixelData = packed + b"\0" * (len(packed) % 2)
    found.SegmentSequence = [with_items(SegmentNumber=n, SegmentLabel=label) for n, label in labels.items()]
    instances = [with_items(ReferencedSOPInstanceUID=image.SOPInstanceUID) for image in images]
    found.ReferencedSeriesSequence = [with_items(ReferencedInstanceSequence=instances)]
    found.PerFrameFunctionalGroupsSequence = [_group(images[i], number) for i, number, _ in frames]
    return found


def label_map(
    images: Sequence[FileDataset],
    maps: Sequence[Array],
    labels: Mapping[int, str],
    background: int | None = None,
) -> FileDataset:
    """A DICOM-SEG whose values ``(H, W)`` are the numbers of segments, a map for each of the first images."""
    found = dicom(np.stack(maps), LABEL_MAP)
    found.SegmentationType, found.SegmentsOverlap = "LABELMAP", "NO"
    if background is not None:
        found.PixelPaddingValue = background
    found.SegmentSequence = [with_items(SegmentNumber=n, SegmentLabel=label) for n, label in labels.items()]
    instances = [with_items(ReferencedSOPInstanceUID=image.SOPInstanceUID) for image in images]
    found.ReferencedSeriesSequence = [with_items(ReferencedInstanceSequence=instances)]
    found.PerFrameFunctionalGroupsSequence = [_group(images[i]) for i in range(len(maps))]
    return found


def _group(image: FileDataset, segment: int | None = None) -> Dataset:
    source = with_items(ReferencedSOPInstanceUID=image.SOPInstanceUID)
    group = with_items(DerivationImageSequence=[with_items(SourceImageSequence=[source])])
    if segment is not None:
        group.SegmentIdentificationSequence = [with_items(ReferencedSegmentNumber=segment)]
    if "ImagePositionPatient" in image:
        group.PlanePositionSequence = [with_items(ImagePositionPatient=image.ImagePositionPatient)]
        group.PlaneOrientationSequence = [with_items(ImageOrientationPatient=image.ImageOrientationPatient)]
    return group


def save_nifti(file: Path, volume: Array, affine: Array | None = None) -> None:
    """Write a volume ``(X, Y, Z)``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([0.7, 0.7, 3, 1]) if affine is None else affine), file)
