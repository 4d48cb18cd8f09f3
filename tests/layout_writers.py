"""Data sets as tools export them, written from known masks: one writer per layout, each with its own code.

A writer gets a folder, and images ``(H, W, 3)`` with masks ``(H, W)`` bool by name. What a writer writes is
what the tool's documentation says; polygons are the exact outlines of the pixels.
"""

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fake_data import save
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Pairs = dict[str, tuple[Pixels, Mask]]


def rectangles(mask: Mask) -> list[list[float]]:
    """Every stretch of a row as a rectangle, x, y, x, y, ...: together they cover the mask exactly."""
    found = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]]))).tolist()
        for left, right in zip(edges[0::2], edges[1::2], strict=True):
            found.append([left, y, right, y, right, y + 1, left, y + 1])
    return found


def counts_of(mask: Mask) -> list[int]:
    """COCO's run lengths, pixel by pixel: background first, down the columns."""
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def kaggle(mask: Mask) -> str:
    """Pairs of start and length, as most notebooks write them."""
    padded = np.concatenate([[0], mask.T.ravel().astype(np.int8), [0]])
    runs = np.flatnonzero(padded[1:] != padded[:-1]) + 1
    runs[1::2] -= runs[0::2]
    return " ".join(map(str, runs.tolist()))


def png(pixels: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def files(image: str, mask: str, value: int = 255) -> Callable[[Path, Pairs], None]:
    """A writer of image files and mask files, whose names hold {}."""

    def write(root: Path, pairs: Pairs) -> None:
        for name, (pixels, inside) in pairs.items():
            save(root / image.format(name), pixels)
            save(root / mask.format(name), inside.astype(np.uint8) * np.uint8(value))

    return write


def in_subsets(image: str, mask: str, subsets: tuple[str, str]) -> Callable[[Path, Pairs], None]:
    """As ``files``, in two subsets, whose name stands at {p}."""

    def write(root: Path, pairs: Pairs) -> None:
        for i, (name, pair) in enumerate(pairs.items()):
            part = subsets[i % 2]
            files(image.replace("{p}", part), mask.replace("{p}", part))(root, {name: pair})

    return write


def with_views(image: str, mask: str, view: str) -> Callable[[Path, Pairs], None]:
    """As ``files``, with the fields of view of retinal cameras beside: masks of another kind."""

    def write(root: Path, pairs: Pairs) -> None:
        files(image, mask)(root, pairs)
        for name, (_, inside) in pairs.items():
            field = np.zeros(inside.shape, np.uint8)
            field[1:-1, 1:-1] = 255
            save(root / view.format(name), field)

    return write


def other_masks(image: str, mask: str, named: Callable[[int, str], str]) -> Callable[[Path, Pairs], None]:
    """As ``files``, with masks under other names than the images."""

    def write(root: Path, pairs: Pairs) -> None:
        for i, (name, (pixels, inside)) in enumerate(pairs.items()):
            save(root / image.format(name, i), pixels)
            save(root / mask.format(named(i, name)), inside.astype(np.uint8) * np.uint8(255))

    return write


def dsb(root: Path, pairs: Pairs) -> None:
    for name, (pixels, mask) in pairs.items():
        save(root / name / "images" / f"{name}.png", pixels)
        upper = mask.copy()
        upper[mask.shape[0] // 2 :] = False
        save(root / name / "masks" / "a.png", upper)
        save(root / name / "masks" / "b.png", mask & ~upper)


def nnunet(root: Path, pairs: Pairs) -> None:
    files("imagesTr/{}_0000.png", "labelsTr/{}.png", 1)(root, pairs)
    text = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "lesion": 1}}
    (root / "dataset.json").write_text(json.dumps({**text, "file_ending": ".png", "numTraining": len(pairs)}))


def volumes(image: str, mask: str) -> Callable[[Path, Pairs], None]:
    """A writer of NIfTI volumes of one slice, whose names hold {}."""

    def write(root: Path, pairs: Pairs) -> None:
        from medical_writers import save_nifti

        for name, (pixels, inside) in pairs.items():
            save_nifti(root / image.format(name), pixels[..., 0].T[..., None].astype(np.int16) - 50)
            save_nifti(root / mask.format(name), inside.T[..., None].astype(np.uint8))

    return write


def dicom(image: str, mask: str) -> Callable[[Path, Pairs], None]:
    """A writer of DICOM pictures, with masks as DICOM or PNG."""

    def write(root: Path, pairs: Pairs) -> None:
        from medical_writers import save_dicom

        for name, (pixels, inside) in pairs.items():
            save_dicom(root / image.format(name), pixels, PatientID=f"of {name}")
            if mask.endswith(".png"):
                save(root / mask.format(name), inside)
            else:
                save_dicom(root / mask.format(name), inside.astype(np.uint8))

    return write


def dicom_seg(root: Path, pairs: Pairs) -> None:
    """A segmentation for each image; one without foreground has no frame but refers to its image."""
    from medical_writers import save_dicom, segmentation

    (root / "results").mkdir()
    for name, (pixels, inside) in pairs.items():
        image = save_dicom(root / f"series/{name}", pixels[..., 0].astype(np.uint16), PatientID=f"of {name}")
        found = segmentation([image], [(0, 1, inside)], {1: "lesion"})
        found.save_as(root / f"results/{name}.seg.dcm", enforce_file_format=True)


def cvat(root: Path, pairs: Pairs) -> None:
    for name, (pixels, mask) in pairs.items():
        save(root / "JPEGImages" / f"{name}.png", pixels)
        coloured = np.where(mask[..., None], (250, 50, 83), 0).astype(np.uint8)
        save(root / "SegmentationClass" / f"{name}.png", coloured)
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nlesion:250,50,83::\n"
    )


def voc(root: Path, pairs: Pairs) -> None:
    for name, (pixels, mask) in pairs.items():
        save(root / "JPEGImages" / f"{name}.png", pixels)
        palette = Image.fromarray(mask.astype(np.uint8), "L")
        palette.putpalette([0, 0, 0, 128, 0, 0])
        (root / "SegmentationClass").mkdir(exist_ok=True)
        palette.save(root / "SegmentationClass" / f"{name}.png")
    names = sorted(pairs)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(names[1:]) + "\n")
    (lists / "val.txt").write_text(names[0] + "\n")


def roboflow(root: Path, pairs: Pairs) -> None:
    for i, (name, (pixels, mask)) in enumerate(pairs.items()):
        folder = root / ("train", "valid", "test")[i % 3]
        save(folder / f"{name}_png.rf.0a{i}.png", pixels)
        save(folder / f"{name}_png.rf.0a{i}_mask.png", mask.astype(np.uint8))
        (folder / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, lesion\n")


def labelstudio(root: Path, pairs: Pairs) -> None:
    tasks = []
    for i, (name, (pixels, mask)) in enumerate(pairs.items()):
        save(root / "images" / f"{name}.png", pixels)
        save(root / "masks" / f"task-{50 - i}-annotation-{9 + i}-by-1-tag-lesion-0.png", mask)
        tasks.append(
            {"id": 50 - i, "data": {"image": f"/data/upload/3/0a1b2c3d-{name}.png"}, "annotations": []}
        )
    (root / "project-1-at-2024.json").write_text(json.dumps(tasks))


def labelme_json(name: str, mask: Mask, **fields: object) -> dict[str, object]:
    shapes = [
        {"label": "lesion", "points": np.reshape(r, (-1, 2)).tolist(), "shape_type": "polygon", "flags": {}}
        for r in rectangles(mask)
    ]
    size = {"imageHeight": mask.shape[0], "imageWidth": mask.shape[1]}
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": name,
        "imageData": None,
        **size,
        **fields,
    }


def labelme(root: Path, pairs: Pairs) -> None:
    for name, (pixels, mask) in pairs.items():
        save(root / f"{name}.png", pixels)
        (root / f"{name}.json").write_text(json.dumps(labelme_json(f"{name}.png", mask)))


def labelme_mask(root: Path, pairs: Pairs) -> None:
    """The shapes of LabelMe's AI tools: a small picture at a place."""
    for name, (pixels, mask) in pairs.items():
        save(root / "images" / f"{name}.png", pixels)
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        shapes = []
        if len(rows):
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
            corners = [[int(columns[0]), int(rows[0])], [int(columns[-1]), int(rows[-1])]]
            text = base64.b64encode(png(part)).decode()
            shapes = [{"label": "lesion", "points": corners, "shape_type": "mask", "mask": text}]
        content = labelme_json(f"..\\images\\{name}.png", mask, shapes=shapes)
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{name}.json").write_text(json.dumps(content))


def coco_json(pairs: Pairs, outline: Callable[[Mask], object], suffix: str = ".png") -> dict[str, object]:
    images, annotations = [], []
    for i, (name, (_, mask)) in enumerate(pairs.items()):
        images.append({"id": i, "file_name": name + suffix, "height": mask.shape[0], "width": mask.shape[1]})
        if mask.any():
            row = {"id": len(annotations), "image_id": i, "category_id": 1, "segmentation": outline(mask)}
            annotations.append({**row, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": int(mask.sum())})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "lesion"}]}


def coco(outline: Callable[[Mask], object]) -> Callable[[Path, Pairs], None]:
    def write(root: Path, pairs: Pairs) -> None:
        for name, (pixels, _) in pairs.items():
            save(root / "images" / f"{name}.png", pixels)
        (root / "annotations").mkdir()
        (root / "annotations" / "instances_default.json").write_text(json.dumps(coco_json(pairs, outline)))

    return write


def coco_packed(mask: Mask) -> object:
    from pycocotools import mask as coco_tools  # not where the tests of other things run

    packed = coco_tools.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": packed["counts"].decode()}


def roboflow_coco(root: Path, pairs: Pairs) -> None:
    for i, part in enumerate(("train", "valid", "test")):
        own = {name: pair for k, (name, pair) in enumerate(pairs.items()) if k % 3 == i}
        for name, (pixels, _) in own.items():
            save(root / part / f"{name}.png", pixels)
        content = coco_json(own, rectangles)
        content["categories"] = [{"id": 0, "name": "things"}, {"id": 1, "name": "lesion"}]
        (root / part).mkdir(parents=True, exist_ok=True)
        (root / part / "_annotations.coco.json").write_text(json.dumps(content))


def supervisely(root: Path, pairs: Pairs) -> None:
    for name, (pixels, mask) in pairs.items():
        save(root / "ds1" / "img" / f"{name}.png", pixels)
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        objects = []
        if len(rows):
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            rgba = np.zeros((*part.shape, 4), np.uint8)
            rgba[part] = 255
            data = base64.b64encode(zlib.compress(png(rgba))).decode()
            bitmap = {"data": data, "origin": [int(columns[0]), int(rows[0])]}
            objects = [{"classTitle": "lesion", "geometryType": "bitmap", "bitmap": bitmap}]
        size = {"height": mask.shape[0], "width": mask.shape[1]}
        (root / "ds1" / "ann").mkdir(exist_ok=True)
        content = json.dumps({"description": "", "tags": [], "size": size, "objects": objects})
        (root / "ds1" / "ann" / f"{name}.png.json").write_text(content)
    (root / "meta.json").write_text(json.dumps({"classes": [{"title": "lesion", "shape": "bitmap"}]}))


def cityscapes(root: Path, pairs: Pairs) -> None:
    """Of two classes, 7 (road) around 26 (car); and the files that are not used."""
    for i, (name, (pixels, mask)) in enumerate(pairs.items()):
        place = f"{('train', 'val')[i % 2]}/{('aachen', 'bochum')[i // 2 % 2]}"
        own = root / "gtFine" / place / f"{name}_000_019_gtFine"
        numbers = np.where(mask, 26, 7).astype(np.uint8)
        save(root / "leftImg8bit" / place / f"{name}_000_019_leftImg8bit.png", pixels)
        save(own.with_name(f"{own.name}_labelIds.png"), numbers)
        save(own.with_name(f"{own.name}_instanceIds.png"), numbers)
        save(own.with_name(f"{own.name}_color.png"), pixels)
        own.with_name(f"{own.name}_polygons.json").write_text('{"imgHeight": 24, "objects": []}')


def rle(root: Path, pairs: Pairs) -> None:
    lines = ["ImageId,EncodedPixels"]
    for name, (pixels, mask) in pairs.items():
        save(root / "images" / f"{name}.png", pixels)
        upper = mask.copy()
        upper[mask.shape[0] // 2 :] = False  # several rows of an image
        lines += [f"{name}.png,{kaggle(part)}" for part in (upper, mask & ~upper)]
    (root / "train.csv").write_text("\n".join(lines) + "\n")


def yolo(root: Path, pairs: Pairs) -> None:
    for i, (name, (pixels, mask)) in enumerate(pairs.items()):
        part = ("train", "val")[i % 2]
        save(root / "images" / part / f"{name}.png", pixels)
        side = np.array(mask.shape[::-1])
        lines = [
            "0 " + " ".join(f"{v:.9f}" for v in (np.reshape(r, (-1, 2)) / side).ravel())
            for r in rectangles(mask)
        ]
        (root / "labels" / part).mkdir(parents=True, exist_ok=True)
        (root / "labels" / part / f"{name}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames:\n  0: lesion\n")


# The name of the reader, and the writer.
WRITERS: dict[str, tuple[str, Callable[[Path, Pairs], None]]] = {
    "images and labels": ("two_folders", files("images/{}.png", "labels/{}.png")),
    "Pytorch-UNet": ("two_folders", files("imgs/{}.png", "masks/{}_mask.gif")),
    "Carvana": ("two_folders", files("train/{}.png", "train_masks/{}_mask.gif")),
    "mmsegmentation": ("two_folders", files("img_dir/train/{}.png", "ann_dir/train/{}.png", 1)),
    "train_images": ("two_folders", files("train_images/{}.png", "train_masks/{}.png")),
    "images_train": ("two_folders", files("images_train/{}.png", "masks_train/{}.png")),
    "CamVid": ("two_folders", files("train/{}.png", "trainannot/{}.png", 1)),
    "CVC-ClinicDB": ("two_folders", files("Original/{}.png", "Ground Truth/{}.png")),
    "DRIVE": ("two_folders", files("images/{}_training.png", "1st_manual/{}_manual1.gif")),
    "DRIVE, with fields of view": (
        "two_folders",
        with_views("images/{}_training.png", "1st_manual/{}_manual1.gif", "mask/{}_training_mask.gif"),
    ),
    "HRF": ("two_folders", with_views("images/{}.png", "manual1/{}.tif", "mask/{}_mask.tif")),
    "DeepCrack": ("two_folders", in_subsets("{p}_img/{}.png", "{p}_lab/{}.png", ("train", "test"))),
    "x_train and y_train": ("two_folders", in_subsets("X_{p}/{}.png", "Y_{p}/{}.png", ("train", "val"))),
    "frames and masks": (
        "two_folders",
        in_subsets("{p}_frames/{p}/{}.png", "{p}_masks/{p}/{}.png", ("train", "val")),
    ),
    "Massachusetts": ("two_folders", in_subsets("{p}/sat/{}.tiff", "{p}/map/{}.tif", ("train", "valid"))),
    "HAM10000": ("two_folders", files("photographs_1/{}.png", "lesion_segmentations/{}_segmentation.png")),
    "KITTI": ("two_folders", files("training/image_2/um_{}.png", "training/gt_image_2/um_road_{}.png")),
    "_L": ("two_folders", files("frames_full/{}.png", "Labelled_full/{}_L.png")),
    "DAVIS": ("two_folders", files("JPEGImages/480p/x{0}/{0}.png", "Annotations/480p/x{0}/{0}.png", 1)),
    "other capitals": ("folder", other_masks("images/{}.png", "masks/{}.PNG", lambda _, name: name.upper())),
    "other zeros": (
        "folder",
        other_masks("images/{0}_00{1}.png", "masks/{}.png", lambda i, name: f"{name}_0{i}"),
    ),
    "QuPath, labelled": ("side_by_side", files("{} [x=0].tif", "{} [x=0]-labelled.png", 1)),
    "CVAT, folders of images": (
        "voc",
        files("JPEGImages/job/{}.png", "SegmentationClass/job/{}.png"),
    ),
    "image and mask per folder": ("folder_per_image", files("{}/image.png", "{}/mask.png")),
    "BUSI": ("side_by_side", files("{} (1).png", "{} (1)_mask.png")),
    "side by side, .jpg and .png": ("side_by_side", files("{}.jpg", "{}.png")),
    "side by side": ("side_by_side", files("{}.png", "{}_mask.png")),
    "side by side, _image and _seg": ("side_by_side", files("{}_image.png", "{}_seg.png", 1)),
    "side by side, Roboflow": ("side_by_side", roboflow),
    "Data Science Bowl 2018": ("folder_per_image", dsb),
    "nnU-Net v2": ("nnunet", nnunet),
    "nnU-Net v2, NIfTI": ("nnunet", volumes("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz")),
    "Medical Segmentation Decathlon": ("nnunet", volumes("imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz")),
    "NIfTI": ("two_folders", volumes("images/{}.nii", "labels/{}.nii.gz")),
    "DICOM and PNG": ("folder", dicom("images/{}.dcm", "masks/{}.png")),
    "DICOM": ("folder", dicom("images/{}", "masks/{}.dcm")),
    "DICOM-SEG": ("dicom_seg", dicom_seg),
    "CVAT": ("voc", cvat),
    "Pascal VOC": ("voc", voc),
    "Label Studio": ("labelstudio", labelstudio),
    "LabelMe": ("labelme", labelme),
    "LabelMe, masks": ("labelme", labelme_mask),
    "COCO, polygons": ("coco", coco(rectangles)),
    "COCO, run lengths": ("coco", coco(lambda mask: {"size": list(mask.shape), "counts": counts_of(mask)})),
    "COCO, packed": ("coco", coco(coco_packed)),
    "COCO, Roboflow": ("coco", roboflow_coco),
    "Supervisely": ("supervisely", supervisely),
    "run lengths in a table": ("rle", rle),
    "YOLO": ("yolo", yolo),
    "Cityscapes": ("cityscapes", cityscapes),
    "_image and _mask": ("folder", files("images/{}_image.png", "masks/{}_mask.png")),
    "img_ and mask_": ("folder", files("images/img_{}.png", "masks/mask_{}.png")),
    "_seg": ("folder", files("images/{}.png", "masks/{}_seg.png")),
}
