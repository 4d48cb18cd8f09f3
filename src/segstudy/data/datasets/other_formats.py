"""Formats that are recognised but not read: what they are, and what to do with them."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from segstudy.core.quantities import counted
from segstudy.data.datasets.annotation_files import head_of
from segstudy.data.image_formats import FORMATS, image_suffix, without_package

SLICES = "write each slice as a PNG file into images/ and its mask, of the same name, into masks/"

# By suffix: what it is, and what to do.
BY_SUFFIX = {
    ".mha": ("MetaImage volume", f"{SLICES} (SimpleITK reads them)"),
    ".mhd": ("MetaImage volume", f"{SLICES} (SimpleITK reads them)"),
    ".nrrd": ("NRRD volume", f"{SLICES} (pynrrd or 3D Slicer reads them)"),
    ".roi": (
        "ImageJ ROI",
        "in ImageJ, write a mask of each image's ROIs (Edit > Selection > Create Mask) into masks/",
    ),
    ".svs": ("slide", "export regions as PNG or TIFF files (QuPath, OpenSlide)"),
    ".ndpi": ("slide", "export regions as PNG or TIFF files (QuPath, OpenSlide)"),
    ".czi": ("Zeiss file", "export the images as PNG or TIFF files (ZEN, Fiji)"),
    ".nd2": ("Nikon file", "export the images as PNG or TIFF files (NIS-Elements, Fiji)"),
    ".lif": ("Leica file", "export the images as PNG or TIFF files (LAS X, Fiji)"),
    ".geojson": ("GeoJSON file", "export the masks as images (QuPath: Export labelled image) into masks/"),
    ".npy": ("NumPy array", "write each as a PNG file into images/ or masks/"),
    ".npz": ("NumPy archive", "write its arrays as PNG files into images/ and masks/"),
    ".mat": ("MATLAB file", "write its arrays as PNG files into images/ and masks/ (imwrite)"),
    ".h5": ("HDF5 file", "write its arrays as PNG files into images/ and masks/ (h5py reads them)"),
    ".hdf5": ("HDF5 file", "write its arrays as PNG files into images/ and masks/ (h5py reads them)"),
    ".zarr": ("Zarr array", "write its arrays as PNG files into images/ and masks/"),
    ".parquet": ("Parquet table", "write its images as files into images/ and masks/"),
    ".tfrecord": ("TFRecord file", "write its images as PNG files into images/ and masks/"),
}
ROI_ARCHIVE = re.compile(r"roi.*\.zip", re.IGNORECASE)
# By what a text file begins with.
BY_HEAD = (
    (
        re.compile(r"<annotations>\s*<version>|<image [^>]*name="),
        "annotations of CVAT for images (XML); export them as COCO or as Segmentation mask",
    ),
    (
        re.compile(r"<annotation>\s*<(folder|filename)>"),
        "Pascal VOC's XML, which holds boxes only; export polygons as COCO, or masks as images",
    ),
    (
        re.compile(r"_via_img_metadata|\"shape_attributes\""),
        "annotations of the VGG Image Annotator (VIA); export them as COCO (Annotation > Export)",
    ),
    (
        re.compile(r"\"(brushlabels|polygonlabels)\""),
        "Label Studio's own JSON; export the project as COCO, or as PNG masks beside this file",
    ),
    (re.compile(r"\"(labelbox|data_row|DataRow ID)\""), "an export of Labelbox; convert it to COCO"),
    (
        re.compile(r"<Annotations\b[^>]*>\s*<Annotation\b"),
        "annotations of Aperio ImageScope (XML); write a mask of each image as PNG into masks/ (QuPath reads "
        "them)",
    ),
    (
        re.compile(r"region_shape_attributes"),
        "annotations of the VGG Image Annotator (VIA); export them as COCO (Annotation > Export)",
    ),
    (
        re.compile(r"\"(asset|assets|visitedAssets|lastVisitedAssetId)\"\s*:"),
        "annotations of VoTT; convert them to COCO, or write the masks as images into masks/",
    ),
    (re.compile(r"\"FeatureCollection\""), f"GeoJSON; {BY_SUFFIX['.geojson'][1]}"),
)
MEDICAL = ("DICOM", "NIFTI")  # read, if they lie in a known layout
LOOKED_AT = 500  # entries of a folder
DEPTH = 3


def unread_format(root: Path) -> str | None:
    """What a folder holds that is known but not read, and what to do; None where there is nothing of that."""
    if (root / "study.toml").is_file() and (root / "runs").is_dir():
        return "is the folder of a study, not of images; give the folder of its data set"
    found: Counter[str] = Counter()
    for file in _files(root, DEPTH):
        name = file.name.lower()
        suffix = file.suffix.lower()
        if ROI_ARCHIVE.fullmatch(name):
            suffix = ".roi"
        if suffix in BY_SUFFIX:
            found[suffix] += 1
        elif suffix in (".xml", ".json", ".ndjson", ".csv"):
            head = head_of(file)
            for pattern, remedy in BY_HEAD:
                if pattern.search(head):
                    return f"{file.relative_to(root).as_posix()} holds {remedy}"
    if not found:
        return None
    suffix, number = found.most_common(1)[0]
    what, remedy = BY_SUFFIX[suffix]
    return f"holds {counted(number, what)} ({suffix}), which cannot be read; {remedy}"


def without_packages(root: Path) -> str | None:
    """What to install for the DICOM files and volumes of a folder; None where nothing is missing."""
    found = _medical_files(root)
    key = next((key for key in found if without_package(FORMATS[key])), None)
    if key is None:
        return None
    kind = FORMATS[key]
    return f"holds {counted(found[key], f'{kind.title} file')}, each {without_package(kind)}"


def in_no_layout(root: Path) -> str | None:
    """What to do with DICOM files and volumes that lie in no layout; None where there are none."""
    found = _medical_files(root)
    if not found:
        return None
    key, number = found.most_common(1)[0]
    return (
        f"holds {counted(number, f'{FORMATS[key].title} file')} in no known layout; put the images into "
        "images/ and their masks, of the same names, into masks/"
    )


def _medical_files(root: Path) -> Counter[str]:
    """The number of files of each of these formats, among the first files of a folder."""
    return Counter(
        key
        for file in _files(root, DEPTH)
        for key in MEDICAL
        if image_suffix(file.name) in FORMATS[key].suffixes
    )


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """The first files of a folder and of the folders in it."""
    below = []
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in islice(entries, LOOKED_AT))
    except OSError:
        return
    for name, is_folder in found:
        if not name.startswith("."):
            if is_folder and not name.lower().endswith(".zarr"):
                below.append(folder / name)
            else:
                yield folder / name
    if depth > 1:
        for each in below[:20]:
            yield from _files(each, depth - 1)
