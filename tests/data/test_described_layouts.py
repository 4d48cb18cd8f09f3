"""What the readers of polygons, run lengths and other tools' layouts refuse, name or leave out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_data import disc, save
from layout_writers import WRITERS, Pairs, coco_json, files, kaggle, labelme_json, rectangles

from segstudy.core.errors import UserError
from segstudy.core.mask_rules import USUAL, MaskMeaning
from segstudy.data.check import check
from segstudy.data.datasets import read
from segstudy.data.masks import read_mask
from segstudy.data.samples import Dataset

SQUARE = [2, 2, 8, 2, 8, 8, 2, 8]


@pytest.fixture
def pairs() -> Pairs:
    return {name: disc(i, (24, 32 - i)) for i, name in enumerate("abcd")}


def written(root: Path, pairs: Pairs, layout: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    WRITERS[layout][1](root, pairs)
    return root


def change(file: Path, alter) -> Path:
    content = json.loads(file.read_text())
    alter(content)
    file.write_text(json.dumps(content))
    return file


def found(dataset: Dataset, severity: str = "error") -> str:
    return "\n".join(f"{p.where}: {p.detail}" for p in dataset.problems if p.severity == severity)


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# COCO


def coco(root: Path, pairs: Pairs, alter) -> Path:
    """A data set whose JSON is altered."""
    for name, (pixels, _) in pairs.items():
        save(root / "images" / f"{name}.png", pixels)
    content = coco_json(pairs, lambda _: [SQUARE])
    alter(content)
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_default.json").write_text(json.dumps(content))
    return root


def test_several_categories_become_numbers_and_the_message_says_their_names(tmp_path, pairs):
    def alter(content):
        content["categories"] = [
            {"id": 3, "name": "lesion"},
            {"id": 7, "name": "ruler"},
            {"id": 9, "name": "hair"},
        ]
        for row in content["annotations"]:
            row["category_id"] = 3 if row["id"] % 2 else 7

    dataset = read(coco(tmp_path, pairs, alter))
    errors = [problem.detail for problem in check(dataset) if problem.severity == "error"]
    assert errors
    assert all("(3 is lesion, 7 is ruler)" in detail for detail in errors)
    named = MaskMeaning(USUAL.rule, (3,))
    assert [int(read_mask(sample.mask, named).sum()) for sample in dataset.samples] == [0, 36, 0, 36]


def test_a_category_0_that_occurs_does_not_become_background(tmp_path, pairs):
    def alter(content):
        content["categories"] = [{"id": 0, "name": "lesion"}, {"id": 1, "name": "ruler"}]
        for row in content["annotations"]:
            row["category_id"] = row["id"] % 2

    dataset = read(coco(tmp_path, pairs, alter))
    assert dataset.class_names == ((1, "lesion"), (2, "ruler"))
    assert [int(sample.mask.draw().max()) for sample in dataset.samples] == [1, 2, 1, 2]


def test_crowd_regions_count_and_a_note_says_how_many(tmp_path, pairs):
    dataset = read(coco(tmp_path, pairs, lambda content: content["annotations"][0].update(iscrowd=1)))
    assert "1 crowd region (iscrowd) counted as objects" in found(dataset, "note")


def test_an_image_without_annotations_has_no_object_and_one_that_is_not_listed_is_left_out(tmp_path, pairs):
    def alter(content):
        content["annotations"] = content["annotations"][1:]
        content["images"] = content["images"][:-1]
        content["annotations"] = [row for row in content["annotations"] if row["image_id"] != 3]

    dataset = read(coco(tmp_path, pairs, alter))
    assert [sample.id for sample in dataset.samples] == ["a", "b", "c"]
    assert not dataset.samples[0].mask.draw().any()
    assert "images/d.png: instances_default.json does not list it" in found(dataset, "warning")
    assert [file.name for file in dataset.without_mask] == ["d.png"]


@pytest.mark.parametrize(
    ("alter", "line"),
    [
        ({"file_name": "../../x.png"}, "outside the data set's folder"),
        ({"file_name": "..\\..\\x.png"}, "outside the data set's folder"),
        ({"file_name": None}, "names no image"),
        ({"file_name": "x\0.png"}, "names no image"),
        ({"height": None}, "must have a height and a width"),
        ({"height": "24"}, "must have a height and a width"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(tmp_path, pairs, alter, line):
    dataset = read(coco(tmp_path / "data", pairs, lambda content: content["images"][1].update(alter)))
    assert [sample.id for sample in dataset.samples] == ["a", "c", "d"]
    assert line in found(dataset)


def test_an_absolute_name_counts_by_its_last_part(tmp_path, pairs):
    def alter(content):
        for image, start in zip(content["images"], ("/home/me/", "C:\\data\\", "", "/"), strict=True):
            image["file_name"] = start + image["file_name"]

    assert [sample.id for sample in read(coco(tmp_path, pairs, alter)).samples] == list("abcd")


@pytest.mark.parametrize(
    ("outline", "line"),
    [
        ([], "annotation 1 is a box without an outline"),
        ([[1, 1, 4, 4]], "annotation 1: a polygon must have 3 points or more"),
        ([[1, 1, float("nan"), 4, 5, 5]], "NaN"),
        ({"size": [24, 31], "counts": [5, 5]}, "cover 10 pixels, but the image has 744"),
        ({"size": [31, 24], "counts": [5, 739]}, r"size [31, 24] in an image of [24, 31]"),
        ({"size": [24, 31], "counts": "\u0000"}, "packed as no COCO tool does"),
        ({"size": [24, 31]}, "without counts"),
        ("text", "is a box without an outline"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_named_and_its_image_is_no_sample(
    tmp_path, pairs, outline, line
):
    root = coco(tmp_path, pairs, lambda content: content["annotations"][1].update(segmentation=outline))
    dataset = read(root)
    assert [sample.id for sample in dataset.samples] == ["a", "c", "d"]
    assert line in found(dataset)
    assert "instances_default.json: b.png" in found(dataset)


def test_a_shape_outside_the_image_is_an_error_of_check(tmp_path, pairs):
    root = coco(
        tmp_path, pairs, lambda c: c["annotations"][1].update(segmentation=[[90, 90, 99, 90, 99, 99]])
    )
    errors = [problem.detail for problem in check(read(root)) if problem.severity == "error"]
    assert len(errors) == 1
    assert "b.png: a shape lies outside the image of 31 x 24 pixels" in errors[0]


def test_a_json_of_other_sizes_than_the_images_is_an_error_of_check(tmp_path, pairs):
    root = coco(tmp_path, pairs, lambda content: content["images"][0].update(height=48, width=64))
    assert [p.kind for p in check(read(root)) if p.severity == "error"] == ["size mismatch"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '{"images": [], "annotations": [], "categories": []}',
            "COCO's JSON .* holds no annotations; export it",
        ),
        ('{"images": [], "annotations": [', "is no JSON"),
        ('{"images": 5, "annotations": [{}], "categories": []}', "must have a list 'images' of objects"),
        ('{"images": [], "annotations": [{}, 5], "categories": []}', "must have a list 'annotations'"),
        ('{"categories": [], "images": ' + "[" * 100_000, "nested too deeply|is no JSON"),
        ('[{"images": 1, "categories": 1}]', "must hold a JSON object, got list"),
    ],
)
def test_a_json_that_is_none_is_refused_in_a_line(tmp_path, pairs, text, line):
    root = coco(tmp_path, pairs, lambda _: None)
    (root / "annotations" / "instances_default.json").write_text(text)
    assert re.search(line, refusal(root))


def test_boxes_alone_are_refused_with_the_remedy(tmp_path, pairs):
    root = coco(
        tmp_path, pairs, lambda content: [row.update(segmentation=[]) for row in content["annotations"]]
    )
    assert "box without an outline; draw one, or export polygons or run lengths" in refusal(root)


def test_a_million_points_are_refused_in_seconds(tmp_path, pairs):
    points = np.random.default_rng(0).uniform(0, 24, 2_000_000).round(2).tolist()
    root = coco(tmp_path, pairs, lambda content: content["annotations"][1].update(segmentation=[points]))
    assert "more than 200,000 points; simplify it" in found(read(root))


def test_a_json_beyond_the_limit_is_refused_before_it_is_read(tmp_path, pairs):
    root = coco(tmp_path, pairs, lambda _: None)
    file = root / "annotations" / "instances_default.json"
    with file.open("r+b") as stream:
        stream.truncate(200_000_000)
    assert "larger than 128 MB" in refusal(root)


def test_parts_whose_categories_contradict_each_other_are_refused(tmp_path, pairs):
    root = written(tmp_path, pairs, "COCO, Roboflow")
    file = root / "valid" / "_annotations.coco.json"
    change(file, lambda content: content["categories"][1].update(name="ruler"))
    assert "category 1 is" in refusal(root)


# LabelMe


def test_labelme_knows_rectangles_and_circles_and_names_what_has_no_area(tmp_path, pairs):
    root = written(tmp_path, pairs, "LabelMe")
    shapes = [
        {"label": "l", "shape_type": "rectangle", "points": [[9, 9], [3, 4]]},
        {"label": "l", "shape_type": "circle", "points": [[20, 12], [20, 15]]},
    ]
    (root / "a.json").write_text(json.dumps(labelme_json("a.png", pairs["a"][1], shapes=shapes)))
    line = [{"label": "l", "shape_type": "linestrip", "points": [[9, 9], [3, 4]]}]
    (root / "b.json").write_text(json.dumps(labelme_json("b.png", pairs["b"][1], shapes=line)))
    dataset = read(root)
    mask = dataset.samples[0].mask.draw()
    assert mask[4:9, 3:9].all()
    assert mask.sum() == 30 + 32
    assert "b.json: a shape of type 'linestrip' (label 'l') has no area; draw it as a polygon" in found(
        dataset
    )


def test_labels_of_labelme_become_numbers_with_names(tmp_path, pairs):
    root = written(tmp_path, pairs, "LabelMe")
    change(root / "a.json", lambda content: content["shapes"][0].update(label="hair"))
    dataset = read(root)
    assert dataset.class_names == ((1, "hair"), (2, "lesion"))
    assert set(np.unique(dataset.samples[0].mask.draw())) == {0, 1, 2}


@pytest.mark.parametrize(
    ("alter", "line"),
    [
        ({"imagePath": "nowhere.png", "imageData": "iVBORw0KGgo="}, "only in the JSON file (imageData)"),
        ({"imagePath": "../../etc/passwd.png"}, "outside the data set's folder"),
        ({"shapes": 5}, "its shapes are no list"),
        ({"shapes": [{"label": "l", "points": [[0, 0], [5, 5], [None, 3]]}]}, "NaN"),
        ({"shapes": [{"label": "l", "shape_type": "circle", "points": [[0, 0]]}]}, "must have two points"),
        (
            {"shapes": [{"label": "l", "shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "%"}]},
            "no base64",
        ),
    ],
)
def test_labelme_files_that_cannot_be_used_are_named(tmp_path, pairs, alter, line):
    root = written(tmp_path / "data", pairs, "LabelMe")
    change(root / "b.json", lambda content: content.update(alter))
    if "imageData" in alter:
        (root / "b.png").unlink()
    dataset = read(root)
    assert [sample.id for sample in dataset.samples] == ["a", "c", "d"]
    assert line in found(dataset)


def test_labelme_files_that_are_cut_off_are_named(tmp_path, pairs):
    root = written(tmp_path, pairs, "LabelMe")
    (root / "b.json").write_bytes((root / "b.json").read_bytes()[:-40])
    assert "b.json: is no JSON" in found(read(root))


def test_labelme_without_any_shape_is_refused(tmp_path, pairs):
    root = written(tmp_path, pairs, "LabelMe")
    for name in pairs:
        change(root / f"{name}.json", lambda content: content.update(shapes=[]))
    assert "no LabelMe JSON file holds a shape; draw them, or write the masks as images" in refusal(root)


# Supervisely


def test_supervisely_knows_polygons_with_holes_and_names_lines(tmp_path, pairs):
    root = written(tmp_path, pairs, "Supervisely")
    ring = {"exterior": [[0, 0], [10, 0], [10, 10], [0, 10]], "interior": [[[2, 2], [6, 2], [6, 6], [2, 6]]]}
    one = [{"classTitle": "lesion", "geometryType": "polygon", "points": ring}]
    change(root / "ds1" / "ann" / "a.png.json", lambda content: content.update(objects=one))
    line = [{"classTitle": "lesion", "geometryType": "line", "points": ring}]
    change(root / "ds1" / "ann" / "b.png.json", lambda content: content.update(objects=line))
    dataset = read(root)
    assert dataset.samples[0].mask.draw().sum() == 100 - 16
    assert "an object of type 'line' has no area" in found(dataset)


def test_a_bitmap_of_supervisely_that_unpacks_to_gigabytes_is_refused(tmp_path, pairs):
    import base64
    import zlib

    root = written(tmp_path, pairs, "Supervisely")
    bomb = base64.b64encode(zlib.compress(bytes(100_000_000), 9)).decode()
    bitmap = {"data": bomb, "origin": [0, 0]}
    change(root / "ds1" / "ann" / "a.png.json", lambda c: c["objects"][0].update(bitmap=bitmap))
    assert "a bitmap of more than 64 MB, unpacked" in found(read(root))


# Run lengths in a table


def rle(root: Path, pairs: Pairs, rows: list[str], heading: str = "ImageId,EncodedPixels") -> Path:
    for name, (pixels, _) in pairs.items():
        save(root / "images" / f"{name}.png", pixels)
    (root / "train.csv").write_text("\n".join([heading, *rows]) + "\n")
    return root


def many(shape: tuple[int, int]) -> Pairs:
    """Photographs whose objects are darker than the rest and lie on one side of the diagonal."""
    found = {}
    for i in range(8):
        y, x = np.mgrid[: shape[0], : shape[1]]
        mask = (y - 8 - i / 2) ** 2 / 20 + (x - 22 + i / 2) ** 2 / 40 < 1
        noise = np.random.default_rng(i).integers(0, 40, (*shape, 3))
        found[f"i{i}"] = ((170 - 90 * mask[..., None] + noise).astype(np.uint8), mask)
    return found


def order_of(dataset: Dataset) -> str:
    return next(each.detail for each in dataset.problems if each.kind == "order of run lengths")


@pytest.mark.parametrize("shape", [(24, 32), (32, 32)])
@pytest.mark.parametrize("way", ["down the columns", "along the rows"])
def test_the_order_of_run_lengths_is_found_from_masks_and_images(tmp_path, shape, way):
    pairs = many(shape)
    rows = [f"{n},{kaggle(m if way[0] == 'd' else m.T)}" for n, (_, m) in pairs.items()]
    dataset = read(rle(tmp_path, pairs, rows))
    assert all(
        (sample.mask.draw() > 0).tolist() == pairs[sample.id][1].tolist() for sample in dataset.samples
    )
    assert f"read {way}, counted from 1: in 8 of 8 masks" in order_of(dataset)


@pytest.mark.parametrize("shape", [(24, 32), (32, 32)])
def test_an_order_of_run_lengths_that_is_not_clear_is_refused_with_the_readers(tmp_path, shape):
    pairs = dict(list(many(shape).items())[:3])  # too few
    rows = [f"{name},{kaggle(mask.T)}" for name, (_, mask) in pairs.items()]
    root = rle(tmp_path, pairs, rows)
    assert "choose --reader rle_columns (Kaggle's usual order) or --reader rle_rows" in refusal(root)
    dataset = read(root, "rle_rows")
    assert all(
        (sample.mask.draw() > 0).tolist() == pairs[sample.id][1].tolist() for sample in dataset.samples
    )
    other = read(root, "rle_columns")
    assert any(
        (a.mask.draw() != b.mask.draw()).any() for a, b in zip(dataset.samples, other.samples, strict=True)
    )


def test_images_without_contrast_decide_no_order(tmp_path):
    pairs = {name: (np.full_like(image, 90), mask) for name, (image, mask) in many((32, 32)).items()}
    rows = [f"{name},{kaggle(mask.T)}" for name, (_, mask) in pairs.items()]
    assert "0 masks speak for columns, 0 for rows" in refusal(rle(tmp_path, pairs, rows))


def test_an_empty_cell_is_no_object_and_a_column_of_classes_makes_numbers(tmp_path, pairs):
    rows = ["a,cat,1 3", "a,dog,9 2", "b,,", "c,,-1", "d,dog,1 3"]
    dataset = read(rle(tmp_path, pairs, rows, "ImageId,ClassId,EncodedPixels"))
    assert dataset.class_names == ((1, "cat"), (2, "dog"))
    assert [np.bincount(s.mask.draw().ravel(), minlength=3)[1:].tolist() for s in dataset.samples] == [
        [3, 2],
        [0, 0],
        [0, 0],
        [0, 3],
    ]


def test_a_table_of_few_of_the_images_is_refused(tmp_path, pairs):
    text = refusal(rle(tmp_path, pairs, ["a.png,1 3"], "img,rle_mask"))
    assert "run lengths (RLE) of 1 of 4 images; write a row for each" in text


@pytest.mark.parametrize(
    ("cell", "line"), [("1 3 5", "pairs of a start"), ("1 x", "whole numbers"), ("0 4", "counted from 1")]
)
def test_run_lengths_that_are_none_are_named(tmp_path, pairs, cell, line):
    dataset = read(rle(tmp_path, pairs, [f"a.png,{cell}", "b.png,1 3", "c.png,1 3", "d.png,1 3"]))
    assert [sample.id for sample in dataset.samples] == ["b", "c", "d"]
    assert line in found(dataset)


def test_run_lengths_beyond_the_image_are_an_error_of_check(tmp_path, pairs):
    dataset = read(rle(tmp_path, pairs, ["a.png,1 9999", "b.png,1 3", "c.png,1 3", "d.png,1 3"]))
    errors = [problem.detail for problem in check(dataset) if problem.severity == "error"]
    assert any(
        "a.png: run lengths reach pixel 9,999, but the image has 768 (32 x 24)" in each for each in errors
    )


# YOLO


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0 0.5 0.5 0.2 0.2", "line 1 is a box without an outline"),
        ("0 0.1 0.1 0.5 0.1 0.5 nan", "beyond 0 to 1"),
        ("0 10 10 50 10 50 50", "beyond 0 to 1"),
        ("0 0.1 0.1 0.5 0.1 0.5", "3 points or more"),
        ("cat 0.1 0.1 0.5 0.1 0.5 0.5", "must be a class number"),
    ],
)
def test_lines_of_yolo_that_are_no_polygon_are_named(tmp_path, pairs, text, line):
    root = written(tmp_path, pairs, "YOLO")
    (root / "labels" / "train" / "a.txt").write_text(text)
    dataset = read(root)
    assert line in found(dataset)
    assert "labels/train/a.txt" in found(dataset)


@pytest.mark.parametrize(
    "names", ["names: [lesion, ruler]", "names:\n- lesion\n- ruler", "names:\n  0: lesion\n  1: ruler"]
)
def test_classes_of_yolo_have_their_names(tmp_path, pairs, names):
    root = written(tmp_path, pairs, "YOLO")
    (root / "data.yaml").write_text(f"nc: 2\n{names}\n")
    file = root / "labels" / "train" / "a.txt"
    file.write_text("1 0.1 0.1 0.5 0.1 0.5 0.5\n" + file.read_text())
    assert read(root).class_names == ((1, "lesion"), (2, "ruler"))


# Image files under other names


def test_cases_of_several_channels_are_refused_by_name(tmp_path, pairs):
    root = written(tmp_path, pairs, "nnU-Net v2")
    (root / "imagesTr" / "b_0001.png").write_bytes((root / "imagesTr" / "b_0000.png").read_bytes())
    assert "several channels, a file each: b; images must be one file each" in refusal(root)


def test_volumes_and_test_images_without_masks_of_nnunet_are_named(tmp_path, pairs):
    root = written(tmp_path, pairs, "nnU-Net v2")
    save(root / "imagesTs" / "t_0000.png", pairs["a"][0])
    dataset = read(root)
    assert "1 image without labelsTs/; left out" in found(dataset, "warning")
    assert [file.name for file in dataset.without_mask] == ["t_0000.png"]
    (root / "imagesTr" / "v_0000.nii.gz").write_bytes(b"")
    assert "no mask of that name; left out" in found(read(root), "warning")


def test_masks_of_label_studio_without_the_json_are_refused(tmp_path, pairs):
    root = written(tmp_path, pairs, "Label Studio")
    next(root.glob("*.json")).unlink()
    assert "export the project as JSON too" in refusal(root)


def test_several_tags_of_label_studio_are_classes(tmp_path, pairs):
    root = written(tmp_path, pairs, "Label Studio")
    save(
        root / "masks" / "task-50-annotation-9-by-1-tag-ruler-0.png", np.eye(*pairs["a"][1].shape, dtype=bool)
    )
    dataset = read(root)
    assert dataset.class_names == ((1, "lesion"), (2, "ruler"))
    assert str(dataset.account).startswith("10 files in the data set's folder: 9 used, 1 left out (1 .json)")
    inside = pairs["a"][1]
    (lesion, ruler) = (
        read_mask(dataset.samples[0].mask, MaskMeaning(USUAL.rule, (number,))) for number in (1, 2)
    )
    assert (ruler == np.eye(*inside.shape, dtype=bool)).all()
    assert (lesion == inside & ~ruler).all()
    assert "1 is lesion, 2 is ruler" in next(
        each.detail for each in check(dataset) if each.severity == "error"
    )


def test_a_tag_of_label_studio_of_another_size_is_an_error(tmp_path, pairs):
    root = written(tmp_path, pairs, "Label Studio")
    save(root / "masks" / "task-50-annotation-9-by-1-tag-ruler-0.png", np.zeros((9, 9), bool))
    assert "a mask of 9 x 9 for an image of 32 x 24 pixels" in found(read(root))


def test_colours_of_cvat_are_named_by_its_label_map(tmp_path, pairs):
    root = written(tmp_path, pairs, "CVAT")
    (root / "labelmap.txt").write_text("background:0,0,0::\nlesion:250,50,83::\nruler:0,200,0::\n")
    mask = np.zeros((24, 32, 3), np.uint8)
    mask[3:9, 3:9] = (250, 50, 83)
    mask[12:15, 3:9] = (0, 200, 0)
    save(root / "SegmentationClass" / "a.png", mask)
    errors = [problem.detail for problem in check(read(root)) if problem.severity == "error"]
    assert any("#fa3253 is lesion, #00c800 is ruler" in detail for detail in errors)


def test_the_border_of_voc_is_named(tmp_path, pairs):
    root = written(tmp_path, pairs, "Pascal VOC")
    mask = pairs["a"][1].astype(np.uint8)
    mask[0] = 255
    save(root / "SegmentationClass" / "a.png", mask)
    errors = [problem.detail for problem in check(read(root)) if problem.severity == "error"]
    assert any("255 is the border between objects" in detail for detail in errors)


def test_the_lists_of_voc_are_the_subsets(tmp_path, pairs):
    dataset = read(written(tmp_path, pairs, "Pascal VOC"))
    assert [sample.part for sample in dataset.samples] == ["validation", "train", "train", "train"]


def test_images_in_folders_per_image_are_one_each(tmp_path, pairs):
    root = written(tmp_path, pairs, "Data Science Bowl 2018")
    save(root / "a" / "images" / "second.png", pairs["a"][0])
    assert "2 images in one folder with masks" in found(read(root))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("scans/scan.nii.gz", b"", "holds 1 NIfTI file in no known layout"),
        ("scans/one.dcm", b"", "holds 1 DICOM file in no known layout"),
        ("RoiSet.zip", b"", "ImageJ ROI"),
        ("slide.svs", b"", "export regions as PNG"),
        ("annotations.xml", b"<annotations>\n  <version>1.1</version>", "CVAT for images .XML."),
        ("via.json", b'{"_via_img_metadata": {}}', "VGG Image Annotator"),
        ("project.json", b'[{"result": [{"value": {"brushlabels": ["l"]}}]}]', "Label Studio's own JSON"),
        ("a.geojson", b"{}", "GeoJSON"),
    ],
)
def test_formats_that_are_known_but_not_read_are_named_with_a_remedy(tmp_path, name, content, line):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    assert re.search(line, refusal(tmp_path))


def test_two_layouts_at_once_are_refused_with_the_names_of_the_readers(tmp_path, pairs):
    root = written(tmp_path, pairs, "COCO, polygons")
    files("images/{}.png", "masks/{}.png")(root, pairs)
    assert "fits several readers, folder, coco; choose one" in refusal(root)
    assert read(root, "folder").reader == "folder"


def test_a_plain_folder_stays_one(tmp_path, pairs):
    files("images/{}.jpg", "masks/{}.png")(tmp_path, pairs)
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "metadata.csv").write_text("id,group\na,1\nb,1\nc,2\nd,2\n")
    assert read(tmp_path).reader == "folder"
    assert rectangles(np.zeros((3, 3), bool)) == []


def test_endings_that_would_make_two_images_one_tell_nothing(tmp_path, pairs):
    files("images/{}_img.png", "masks/{}_mask.png")(tmp_path, pairs)
    assert [sample.id for sample in read(tmp_path).samples] == ["a_img", "b_img", "c_img", "d_img"]
    save(tmp_path / "images" / "b_image.png", pairs["b"][0])
    dataset = read(tmp_path)
    assert [sample.id for sample in dataset.samples] == ["a_img", "c_img", "d_img"]
    assert "masks/b_mask.png: no image of that name" in found(dataset, "warning")
