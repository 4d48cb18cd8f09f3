"""Hostile annotations: JSON, tables and texts of other tools that are cut off, lie, or ask for too much."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Case, Make
from fake_data import disc, save
from layout_writers import WRITERS, Pairs

SQUARE = [2, 2, 8, 2, 8, 8, 2, 8]
COCO = "annotations/instances_default.json"


def pairs() -> Pairs:
    return {name: disc(i) for i, name in enumerate("abcd")}


def written(layout: str, change: Callable[[Path], object]) -> Make:
    """A good data set in a layout, with one thing changed."""

    def make(here: Path) -> None:
        (here / "data").mkdir()
        WRITERS[layout][1](here / "data", pairs())
        change(here / "data")

    return make


def altered(name: str, alter: Callable[[Any], object]) -> Callable[[Path], object]:
    """Change what a JSON file holds."""

    def change(root: Path) -> None:
        content = json.loads((root / name).read_text())
        alter(content)
        (root / name).write_text(json.dumps(content))

    return change


def outline(value: object) -> Make:
    return written("COCO, polygons", altered(COCO, lambda c: c["annotations"][1].update(segmentation=value)))


def image(**fields: object) -> Make:
    return written("COCO, polygons", altered(COCO, lambda c: c["images"][1].update(fields)))


def labelme(**fields: object) -> Make:
    return written("LabelMe", altered("b.json", lambda content: content.update(fields)))


def text(layout: str, name: str, value: str | bytes) -> Make:
    content = value if isinstance(value, bytes) else value.encode()
    return written(layout, lambda root: (root / name).write_bytes(content))


def alone(name: str, value: bytes) -> Make:
    def make(here: Path) -> None:
        save(here / "data" / "images" / "a.png", disc(0)[0])
        (here / "data" / name).write_bytes(value)

    return make


def medical(case: Callable[[str, Make, str], Case]) -> Iterator[Case]:
    """DICOM and NIfTI files that are cut off, lie about their size, or grow when they are unpacked."""

    def cut(name: str, end: int) -> Callable[[Path], object]:
        return lambda root: (root / name).write_bytes((root / name).read_bytes()[:end])

    def patched(name: str, place: int, value: bytes) -> Callable[[Path], object]:
        def change(root: Path) -> None:
            content = bytearray((root / name).read_bytes())
            content[place : place + len(value)] = value
            (root / name).write_bytes(content)

        return change

    def dicom_field(before: bytes, after: bytes) -> Callable[[Path], object]:
        def change(root: Path) -> None:
            content = (root / "images/b.dcm").read_bytes()
            place = content.index(before) + len(before)
            (root / "images/b.dcm").write_bytes(content[:place] + after + content[place + len(after) :])

        return change

    def of_zeros(root: Path) -> None:
        """A gigabyte and more of zeros, in a file of a megabyte."""
        header = bytearray((root / "images/b.nii").read_bytes()[:352])
        header[42:46] = b"\xff\x7f\xff\x7f"
        packed = gzip.compress(bytes(header) + bytes(2**24), 9)
        (root / "images/b.nii").unlink()
        (root / "images/b.nii.gz").write_bytes(packed + gzip.compress(bytes(2**24), 9) * 70)

    rows = b"\x28\0\x10\0US\x02\0"
    yield case("DICOM cut off", written("DICOM and PNG", cut("images/b.dcm", 900)), "damaged|cut off")
    yield case("DICOM without elements", written("DICOM and PNG", cut("images/b.dcm", 132)), "DICOM")
    yield case(
        "DICOM of 65,535 rows", written("DICOM and PNG", dicom_field(rows, b"\xff\xff")), "cut off|damaged"
    )
    yield case("DICOM of no rows", written("DICOM and PNG", dicom_field(rows, b"\0\0")), "damaged")
    yield case("DICOM-SEG cut off", written("DICOM-SEG", cut("results/b.seg.dcm", 700)), "DICOM")
    yield case("NIfTI cut off", written("NIfTI", cut("labels/b.nii.gz", 60)), "damaged|cut off|gzip")
    yield case("NIfTI shorter than its header says", written("NIfTI", cut("images/b.nii", 500)), "cut off")
    yield case("NIfTI of -5 columns", written("NIfTI", patched("images/b.nii", 42, b"\xfb\xff")), "axes")
    yield case(
        "NIfTI of an unknown type", written("NIfTI", patched("images/b.nii", 70, b"\x39\x30")), "damaged"
    )
    yield case(
        "NIfTI that begins at NaN", written("NIfTI", patched("images/b.nii", 108, b"\0\0\xc0\x7f")), "damaged"
    )
    yield case("NIfTI of a gigabyte of zeros", written("NIfTI", of_zeros), "more than 1 GiB|columns x rows")


def layouts() -> Iterator[Case]:
    def case(name: str, make: Make, said: str) -> Case:
        return Case("layouts", name, make, "check data", 2, said, "")

    points = np.random.default_rng(0).uniform(0, 24, 2_000_000).round(1).tolist()
    yield case("COCO of a million points", outline([points]), "more than 200,000 points")
    yield case("COCO polygon with NaN", outline([[1, 1, float("nan"), 5, 5, 5]]), "NaN")
    yield case("COCO polygon of 1e308", outline([[1, 1, 1e308, 5, 5, 5]]), "lies beyond")
    yield case("COCO polygon of text", outline([["x"] * 6]), "must be numbers")
    yield case("COCO polygon outside", outline([[900, 900, 910, 900, 910, 910]]), "outside the image")
    long = {"size": [24, 32], "counts": [0, 10**9]}
    yield case("COCO run lengths beyond the image", outline(long), "run lengths cover 1,000,000,000 pixels")
    yield case("COCO packed run lengths of noise", outline({**long, "counts": "~~~~"}), "no COCO tool")
    yield case("COCO image above the folder", image(file_name="../../x.png"), "outside the data set")
    yield case("COCO image of another size", image(height=48, width=64), "48|64 x 48")
    yield case("COCO image of 10^12 pixels", image(height=10**6, width=10**6), "the image's own size")
    yield case("COCO cut off", text("COCO, polygons", COCO, '{"images": [{"id"'), "is no JSON")

    def without_image(root: Path) -> None:
        altered("b.json", lambda content: content.update(imageData="aGk="))(root)
        (root / "b.png").unlink()

    inside_only = written("LabelMe", without_image)
    deep = '{"categories": 1, "images": ' + "[" * 200_000
    yield case("COCO nested 200,000 deep", text("COCO, polygons", COCO, deep), "no JSON|nested")
    yield case("COCO of zeros", text("COCO, polygons", COCO, '{"images": 0, "categories": 0}'), "a list")
    yield case("LabelMe with the image inside only", inside_only, "imageData")
    yield case(
        "LabelMe image above the folder", labelme(imagePath="../../../etc/x.png"), "outside the data set"
    )
    yield case("LabelMe shapes of text", labelme(shapes="text"), "no list")
    bomb = [{"label": "l", "shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "iVBORw0KGgo="}]
    yield case("LabelMe mask that is no PNG", labelme(shapes=bomb), "no whole PNG")
    yield case("YOLO with NaN", text("YOLO", "labels/train/a.txt", "0 nan 0 1 0 1 1"), "beyond 0 to 1")
    yield case(
        "YOLO class of 5,000 digits",
        text("YOLO", "labels/train/a.txt", "9" * 5000 + " 0 0 1 0 1 1"),
        "line 1",
    )
    table = "ImageId,EncodedPixels\na.png,1 99999999999\nb.png,1 2\nc.png,1 2\nd.png,1 2\n"
    yield case(
        "run lengths of a table beyond the image",
        text("run lengths in a table", "train.csv", table),
        "reach pixel",
    )
    yield case("DICOM alone", alone("masks.dcm", b"\0" * 128 + b"DICM"), "DICOM|masks/ is missing")
    yield from medical(case)
