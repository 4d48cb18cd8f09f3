"""Volumes and other files with several images: each slice or frame is a sample, whatever the reader.

A slice of ``a.nii.gz`` has the id ``a/slice-000``, a frame of ``a.dcm`` the id ``a/frame-001``; its group is
that of the file, so that the slices of a volume are always in one subset. A file with one image keeps its id.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segstudy.core.input_files import open_regular
from segstudy.core.quantities import counted
from segstudy.data.image_formats import FORMATS, ImageFormat, format_of
from segstudy.data.images import ImageError, image_size, num_frames
from segstudy.data.samples import Dataset, Problem, Sample
from segstudy.data.sources import Frame, files_of, name_within

if TYPE_CHECKING:
    from segstudy.data.nifti_images import Header

MAX_SHIFT_VOXELS = 0.5  # between the places that image and mask say of one voxel


@dataclass
class _Found:
    """What looking into the files of a data set brings up.

    Attributes:
        samples: those that stay, and those of the slices.
        problems: files of which image and mask do not fit.
        divided: the number of slices, by the id of their volume.
        orientations: how many volumes have which.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    divided: dict[str, int] = field(default_factory=dict)
    orientations: Counter[str] = field(default_factory=Counter)


def with_frames(dataset: Dataset) -> Dataset:
    """Let each slice of a volume, and each frame of a file with several, be a sample."""
    found = _Found()
    for sample in dataset.samples:
        kind = format_of(sample.image) if isinstance(sample.image, Path) else None
        if kind is None or not kind.frame:
            found.samples.append(sample)
        else:
            _divide(dataset.root, sample, kind, found)
    if not found.divided and not found.problems:
        return dataset
    return _divided(dataset, found)


def _divided(dataset: Dataset, found: _Found) -> Dataset:
    problems = [*dataset.problems, *found.problems, *_notes(dataset, found)]
    samples = tuple(sorted(found.samples, key=lambda sample: sample.id))
    if not found.divided:
        return replace(dataset, samples=samples, problems=tuple(problems))
    ungrouped = dataset.ungrouped - found.divided.keys()
    noun, source = dataset.group_noun, dataset.groups_from
    if not source:
        ungrouped = frozenset(sample.id for sample in samples if isinstance(sample.image, Path))
        noun, source = "volume", "the volumes"
    return replace(
        dataset,
        samples=samples,
        problems=tuple(problems),
        ungrouped=frozenset(ungrouped),
        group_noun=noun,
        groups_from=source,
    )


def _notes(dataset: Dataset, found: _Found) -> Iterator[Problem]:
    if found.divided:
        num_slices = sum(found.divided.values())
        detail = (
            f"{counted(len(found.divided), 'file')} with several images, {num_slices} in all: each slice or "
            "frame is a sample, in the order of the file, and a file is a group unless its patient is known"
        )
        yield Problem("note", "volumes", dataset.name, detail)
    if len(found.orientations) > 1:
        listed = ", ".join(f"{name}: {number}" for name, number in found.orientations.most_common())
        detail = (
            f"volumes are stored in several orientations ({listed}), and slices are read as they are: "
            "along other directions, or mirrored; if that is not meant, write all in one orientation "
            "(nibabel.as_closest_canonical)"
        )
        yield Problem("warning", "several orientations", dataset.name, detail)


def _divide(root: Path, sample: Sample, kind: ImageFormat, found: _Found) -> None:
    """Add the samples of a file, or what is wrong with it."""
    assert isinstance(sample.image, Path)
    try:
        number = num_frames(sample.image)
        misfit = _misfit(sample, number) if number > 1 else ""
        if not misfit and isinstance(sample.mask, Path) and _are_nifti(sample.image, sample.mask):
            found.problems += _alignment(root, sample.image, sample.mask, found)
    except ImageError:  # `check` says what is wrong with the file
        found.samples.append(sample)
        return
    if misfit:
        where = name_within(root, sample.image)
        found.problems.append(Problem("error", "volumes differ", where, f"{misfit}, or exclude {sample.id}"))
    elif number == 1:
        found.samples.append(sample)
    else:
        found.divided[sample.id] = number
        found.samples += _frames(sample, kind, number)


def _misfit(sample: Sample, number: int) -> str:
    """How the images of a file and those of its mask differ; nothing where they fit."""
    assert isinstance(sample.image, Path)
    if not isinstance(sample.mask, Path):
        return f"holds {number} images, but its mask is no file of as many"
    other = num_frames(sample.mask)
    sizes = [
        (*image_size(Frame(file, 0))[::-1], n) for file, n in ((sample.image, number), (sample.mask, other))
    ]
    if sizes[0] == sizes[1]:
        return ""
    one, two = (" x ".join(map(str, size)) for size in sizes)
    return (
        f"{one}, but its mask {sample.mask.name} is {two} (columns x rows x slices); write both with one grid"
    )


def _frames(sample: Sample, kind: ImageFormat, number: int) -> Iterator[Sample]:
    (image,), (mask,) = files_of(sample.image), files_of(sample.mask)
    for i, name in enumerate(kind.frame_names(number)):
        yield replace(sample, id=f"{sample.id}/{name}", image=Frame(image, i), mask=Frame(mask, i))


def _are_nifti(*files: Path) -> bool:
    return all(format_of(file) is FORMATS["NIFTI"] for file in files)


def _alignment(root: Path, image: Path, mask: Path, found: _Found) -> list[Problem]:
    """What the headers of two volumes say against laying one on the other, voxel by voxel."""
    one, two = _header(image), _header(mask)
    where = name_within(root, image)
    if one.affine is not None:
        found.orientations[orientation(one)] += 1
    if one.affine is None or two.affine is None:
        if one.affine is two.affine:
            return []
        detail = (
            f"image or mask ({mask.name}) says no orientation; taken voxel by voxel: see whether they match"
        )
        return [Problem("warning", "orientation unknown", where, detail)]
    if orientation(one) != orientation(two):
        detail = (
            f"is stored as {orientation(one)}, but its mask {mask.name} as {orientation(two)}: one would lie "
            "mirrored or turned on the other; write both in one orientation (nibabel.as_closest_canonical)"
        )
        return [Problem("error", "orientations differ", where, detail)]
    shift = _shift_voxels(one, two)
    if shift <= MAX_SHIFT_VOXELS:
        return []
    detail = (
        f"its mask {mask.name} lies up to {shift:.3g} voxels elsewhere, by the headers (affine); taken voxel "
        "by voxel: see whether they match"
    )
    return [Problem("warning", "mask elsewhere", where, detail)]


def _header(file: Path) -> "Header":
    from segstudy.data.nifti_images import read_header  # nibabel is installed: the file was opened before

    with open_regular(file) as stream:
        return read_header(stream)


def orientation(header: "Header") -> str:
    """Where the axes of a volume point: RAS is to the right, to the front, upwards."""
    from nibabel.orientations import aff2axcodes  # only of volumes

    codes = aff2axcodes(header.affine)  # type: ignore[no-untyped-call]
    return "".join(code or "?" for code in codes)


def _shift_voxels(one: "Header", two: "Header") -> float:
    """The largest distance between the places of a corner, in voxels of the first."""
    assert one.affine is not None
    assert two.affine is not None
    ends = [(0, one.width - 1), (0, one.height - 1), (0, one.num_slices - 1), (1,)]
    corners = np.stack(np.meshgrid(*ends), axis=-1).reshape(-1, 4)
    distances = np.linalg.norm((corners @ (one.affine - two.affine).T)[:, :3], axis=1)
    smallest = np.linalg.norm(one.affine[:3, :3], axis=0).min()
    return float(distances.max() / max(smallest, 1e-9))
