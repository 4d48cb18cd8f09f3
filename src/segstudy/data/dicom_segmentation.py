"""DICOM-SEG: frames of segments, each made on an image that it names by UID, as masks of those images.

The numbers of the segments are the classes. An image that the object refers to and that has no frame has an
empty mask. Frames whose place or direction differs from their image's are refused, and segments that overlap.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pixel_array

from segstudy.core.input_files import open_regular
from segstudy.data.content_cache import CONTENTS
from segstudy.data.decoding_limits import ExcessError
from segstudy.data.dicom_files import BROKEN, DAMAGED, read_elements
from segstudy.data.dicom_images import NAMES
from segstudy.data.image_errors import FormatError, ImageError
from segstudy.data.images import MAX_PIXELS
from segstudy.data.sources import Described

MAX_FRAMES = 100_000
MAX_SEGMENTS = 65_535
SAME_DIRECTION, SAME_PLACE_MM = 1e-3, 0.1  # more is another direction or place
SEGMENTATION_NAMES = (
    *NAMES,
    *("SegmentationType", "SegmentationFractionalType", "MaximumFractionalValue", "SegmentSequence"),
    *("ReferencedSeriesSequence", "SourceImageSequence", "PixelPaddingValue"),
)
Key = tuple[str, int]  # UID of an image, and the number of its frame, from 1


@dataclass(frozen=True)
class SegmentFrame:
    """A frame of a segmentation.

    Attributes:
        index: in the file.
        segment: its number, which is the class; 0 in a label map, whose values are the numbers.
        image: the image that it was made on.
        direction: of rows and columns, six numbers; none where nothing says it.
        place: of its first pixel, in mm; none where nothing says it.
    """

    index: int
    segment: int
    image: Key
    direction: tuple[float, ...]
    place: tuple[float, ...]


@dataclass(frozen=True)
class LabelMap:
    """What the values of a label map mean.

    Attributes:
        segments: the numbers of the segments.
        background: the value of pixels in no segment.
    """

    segments: frozenset[int]
    background: int


@dataclass(frozen=True)
class Segmentation:
    """What a DICOM-SEG file says, without its pixels.

    Attributes:
        size: height and width of all frames.
        frames: in the order of the file.
        images: UIDs of the images that it refers to, also of those without a frame.
        names: of the segments, by number.
        largest: of fractional values, the one that means 1; 0 of others.
        label_map: of one whose values are the numbers of segments.
    """

    size: tuple[int, int]
    frames: tuple[SegmentFrame, ...]
    images: frozenset[str]
    names: tuple[tuple[int | str, str], ...]
    largest: int
    label_map: LabelMap | None = None


@dataclass(frozen=True)
class SegmentedImage(Described):
    """The mask of one image in a DICOM-SEG file.

    Attributes:
        source: the file.
        size: height and width.
        frames: of this image.
        largest, label_map: as of ``Segmentation``.
    """

    source: Path
    size: tuple[int, int]
    frames: tuple[SegmentFrame, ...]
    largest: int
    label_map: LabelMap | None = None

    @property
    def file(self) -> Path:
        """The file that describes it."""
        return self.source

    def draw(self) -> NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]:
        """The numbers of the segments ``(H, W)``; of a fractional segment its fractions.

        Raises:
            ImageError: damaged, segments that overlap, or values that are no segment.
        """
        if self.label_map is not None:
            return self._labels(self.label_map)
        is_wide = any(frame.segment > 255 for frame in self.frames)
        canvas = np.zeros(self.size, np.uint16 if is_wide else np.uint8)
        for frame in self.frames:
            values = self._pixels(frame)
            if self.largest:
                return np.asarray(values / self.largest, np.float32)
            inside = values > 0
            if covered := int((canvas[inside] > 0).sum()):
                detail = f"segment {frame.segment} overlaps another one in {covered} pixels of an image"
                raise ImageError(self.source, "overlapping", f"{detail}; export one segmentation for each")
            canvas[inside] = frame.segment
        return canvas

    def _labels(self, label_map: LabelMap) -> NDArray[np.uint8] | NDArray[np.uint16]:
        if len(self.frames) > 1:
            detail = f"{len(self.frames)} frames of a label map on one image; export one for each image"
            raise ImageError(self.source, "overlapping", detail)
        if not self.frames:
            return np.zeros(self.size, np.uint8)
        values = self._pixels(self.frames[0])
        known = label_map.segments | {label_map.background}
        if odd := sorted({int(value) for value in np.unique(values)} - known):
            detail = f"value {odd[0]} of a label map is the number of no segment; export it again"
            raise ImageError(self.source, "unknown segment", detail)
        found = np.where(values == label_map.background, 0, values)
        return found.astype(np.uint16) if found.max() > 255 else found.astype(np.uint8)

    def _pixels(self, frame: SegmentFrame) -> NDArray[Any]:
        try:
            with open_regular(self.source) as stream:
                elements = CONTENTS.get(stream, lambda: _with_pixels(self.source))
                values = np.asarray(pixel_array(elements, index=frame.index))
            if values.shape == self.size:
                return values
        except FormatError as error:
            raise ImageError(self.source, error.kind, error.detail) from None
        except BROKEN:
            pass
        raise ImageError(self.source, "unreadable", DAMAGED)


def _with_pixels(file: Path) -> tuple[FileDataset, int]:
    with open_regular(file) as stream:
        return read_elements(stream, NAMES, with_pixels=True), file.stat().st_size


def read_segmentation(file: Path) -> Segmentation:
    """Read what a DICOM-SEG file says.

    Raises:
        ImageError: damaged, or frames of which it does not say the image.
    """
    try:
        with open_regular(file) as stream:
            elements = read_elements(stream, SEGMENTATION_NAMES)
        return _segmentation(elements)
    except FormatError as error:
        raise ImageError(file, error.kind, error.detail) from None
    except ExcessError as error:
        raise ImageError(file, "excessive", f"{error}; leave it out") from None
    except BROKEN:
        raise ImageError(file, "unreadable", DAMAGED) from None


def _segmentation(elements: Dataset) -> Segmentation:
    size = int(elements.Rows), int(elements.Columns)
    groups = elements.PerFrameFunctionalGroupsSequence
    if size[0] * size[1] > MAX_PIXELS or len(groups) > MAX_FRAMES:
        raise FormatError(
            f"more than {MAX_PIXELS / 10**6:g} million pixels or {MAX_FRAMES:,} frames", "oversized"
        )
    shared = elements.get("SharedFunctionalGroupsSequence") or [Dataset()]
    frames = tuple(_frame(i, group, shared[0]) for i, group in enumerate(groups))
    kind = str(elements.get("SegmentationType", "BINARY")).strip()
    is_fractional = kind not in ("BINARY", "LABELMAP")
    names = tuple(
        (int(each.SegmentNumber), str(each.get("SegmentLabel", ""))) for each in elements.SegmentSequence
    )
    if is_fractional and len(names) > 1:
        raise FormatError(f"fractions of {len(names)} segments; export one file for each")
    if max((number for number, _ in names), default=0) > MAX_SEGMENTS:
        raise FormatError(f"more than {MAX_SEGMENTS:,} segments")
    if kind != "LABELMAP" and not all(frame.segment for frame in frames):
        raise FormatError(DAMAGED)
    label_map = _label_map(elements, {number for number, _ in names}) if kind == "LABELMAP" else None
    names = tuple(each for each in names if label_map is None or each[0] != label_map.background)
    return Segmentation(
        size,
        frames,
        frozenset(_referred(elements)) | {frame.image[0] for frame in frames},
        names if len(names) > 1 else (),
        int(elements.get("MaximumFractionalValue", 255)) if is_fractional else 0,
        label_map,
    )


def _label_map(elements: Dataset, segments: set[int]) -> LabelMap:
    """What the values of a label map mean: without another value for them, pixels in no segment are 0."""
    background = int(elements.get("PixelPaddingValue", 0))
    if 0 in segments - {background}:
        raise FormatError("segment 0 of a label map is no background; number segments from 1")
    return LabelMap(frozenset(segments), background)


def _frame(index: int, group: Dataset, shared: Dataset) -> SegmentFrame:
    segment = _first(group, shared, "SegmentIdentificationSequence").get("ReferencedSegmentNumber", 0)
    sources = _sources(group, shared)
    if len(sources) != 1:
        what = "does not say its image" if not sources else f"was made of {len(sources)} images"
        raise FormatError(f"frame {index + 1} {what} (SourceImageSequence); export it on the original images")
    number = sources[0].get("ReferencedFrameNumber") or 1
    image = str(sources[0].ReferencedSOPInstanceUID), int(number)
    direction = _numbers(_first(group, shared, "PlaneOrientationSequence"), "ImageOrientationPatient")
    place = _numbers(_first(group, shared, "PlanePositionSequence"), "ImagePositionPatient")
    return SegmentFrame(index, int(segment), image, direction, place)


def _first(group: Dataset, shared: Dataset, name: str) -> Dataset:
    found = group.get(name) or shared.get(name)
    return cast(Dataset, found[0]) if found else Dataset()


def _sources(group: Dataset, shared: Dataset) -> list[Dataset]:
    """The images of which a frame was made."""
    for each in (group, shared):
        found = [
            image
            for derivation in each.get("DerivationImageSequence") or []
            for image in derivation.get("SourceImageSequence") or []
        ]
        if found:
            return found
    return []


def _numbers(group: Dataset, name: str) -> tuple[float, ...]:
    return tuple(float(value) for value in group.get(name) or ())


def _referred(elements: Dataset) -> Iterator[str]:
    for series in elements.get("ReferencedSeriesSequence") or []:
        for each in series.get("ReferencedInstanceSequence") or []:
            yield str(each.ReferencedSOPInstanceUID)


def misplaced(frames: Sequence[SegmentFrame], image: Path) -> str:
    """How frames lie otherwise than their image; nothing where they agree, or nothing says it."""
    try:
        with open_regular(image) as stream:
            elements = read_elements(stream, ("ImageOrientationPatient", "ImagePositionPatient"))
        direction = _numbers(elements, "ImageOrientationPatient")
        place = _numbers(elements, "ImagePositionPatient")
    except (FormatError, ExcessError, *BROKEN):
        return ""
    for frame in frames:
        if _differ(frame.direction, direction, SAME_DIRECTION):
            return f"frame {frame.index + 1} lies in another direction than its image"
        if _differ(frame.place, place, SAME_PLACE_MM):
            return f"frame {frame.index + 1} lies at another place than its image"
    return ""


def _differ(one: Sequence[float], two: Sequence[float], most: float) -> bool:
    if not one or len(one) != len(two):
        return False
    return bool(np.abs(np.subtract(one, two)).max() > most)


def by_image(segmentation: Segmentation) -> dict[Key, tuple[SegmentFrame, ...]]:
    """The frames of each image."""
    found: dict[Key, list[SegmentFrame]] = defaultdict(list)
    for frame in segmentation.frames:
        found[frame.image].append(frame)
    return {key: tuple(frames) for key, frames in found.items()}
