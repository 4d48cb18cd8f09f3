"""Predictions of models with several classes: masks, probabilities, pictures and tables by class."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from class_networks import BLUE, BOTH, EXCLUSIVE, GREEN, OVERLAPPING, RED, eye, network
from PIL import Image

from segstudy.core.errors import UserError
from segstudy.core.network_outputs import OutputError
from segstudy.core.palette import colour_of
from segstudy.deploy.predict.folder import predict_files
from segstudy.deploy.predict.inputs import find_images
from segstudy.deploy.predict.predictor import Predictor, Settings
from segstudy.deploy.predict.result_files import KINDS, class_folders

TASKS = [EXCLUSIVE, OVERLAPPING]


def rows(out: Path, name: str = "predictions.csv") -> list[dict[str, str]]:
    with (out / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(eye()).save(folder / "a.png")
    Image.fromarray(np.full((40, 50, 3), RED, np.uint8)).save(folder / "b.png")
    return folder


def predict(classes: str, folder: Path, out: Path, kinds=(), settings: Settings | None = None):
    return predict_files(Predictor([network(classes)], settings), find_images([folder]), out, kinds)


def test_a_mask_has_the_number_of_each_pixels_class():
    mask, probability = Predictor([network(EXCLUSIVE)])(eye())
    assert mask.dtype == np.uint8
    assert probability.shape == (3, 64, 96)
    assert [mask[2, 2], mask[32, 15], mask[32, 32], mask[32, 80]] == [0, 1, 2, 1]
    assert np.array_equal(mask, probability.argmax(axis=0))


def test_overlapping_classes_are_bits():
    picture = np.full((40, 40, 3), BOTH, np.uint8)
    picture[:20] = GREEN
    predictor = Predictor([network(OVERLAPPING)])
    mask, probability = predictor(picture)
    assert mask.dtype == np.uint16
    assert probability.shape == (2, 40, 40)
    assert (mask[5, 5], mask[35, 35]) == (1, 3)
    assert np.array_equal(predictor.outputs.plane(mask, 1), probability[1] >= 0.5)


@pytest.mark.parametrize("classes", TASKS)
def test_an_output_of_another_number_of_classes_is_refused(classes):
    wrong = network(EXCLUSIVE if classes == OVERLAPPING else OVERLAPPING)
    right = network(classes)
    with pytest.raises(OutputError, match="instead of float32"):
        Predictor([type(right)(right.card, "x", "y", wrong.forward)])(eye())


def test_exclusive_classes_have_no_threshold():
    with pytest.raises(UserError, match="--threshold: the classes of this model exclude each other"):
        Predictor([network(EXCLUSIVE)], threshold=0.4)
    assert Predictor([network(EXCLUSIVE)]).threshold is None
    assert Predictor([network(OVERLAPPING)], threshold=0.4).threshold == 0.4


@pytest.mark.parametrize("name", ["largest_component", "fill_holes"])
def test_classes_without_a_background_are_not_cleaned_up(name):
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')}: the classes .* have no background"):
        Predictor([network("skin=0,disc=1,cup=2")], Settings(**{name: True}))


def test_models_of_other_classes_are_no_ensemble():
    with pytest.raises(UserError, match="classes cannot be an ensemble"):
        Predictor([network(EXCLUSIVE), network("background=0,disc=1,rim=2")])
    assert Predictor([network(EXCLUSIVE), network(EXCLUSIVE)])(eye()).probability.shape == (3, 64, 96)


@pytest.mark.parametrize("classes", TASKS)
def test_flips_and_turns_come_back_in_place(classes):
    pixels = np.random.default_rng(3).integers(0, 256, (2, 32, 48, 3), np.uint8)
    plain, turned = (Predictor([network(classes)], Settings(tta=tta)) for tta in (False, True))
    np.testing.assert_allclose(turned.of_network_size(pixels), plain.of_network_size(pixels), atol=1e-6)


def test_the_largest_part_of_each_class_is_kept():
    mask = Predictor([network(EXCLUSIVE)], largest_component=True)(eye()).mask
    assert [mask[32, 15], mask[32, 32], mask[32, 80]] == [1, 2, 0]


def test_numbers_of_classes_are_written_with_a_palette(pictures, tmp_path):
    found = predict(EXCLUSIVE, pictures, tmp_path / "out", KINDS)
    out = tmp_path / "out"
    with Image.open(out / "masks" / "a.png") as image:
        assert image.mode == "P"
        expected = Predictor([network(EXCLUSIVE)])(eye()).mask
        assert np.array_equal(np.asarray(image), expected)
        shown = image.convert("RGB").getpixel((32, 32))
    assert "#{:02x}{:02x}{:02x}".format(*shown) == colour_of(2)
    folders = sorted(each.name for each in (out / "probability").iterdir())
    assert folders == ["background", "cup", "optic disc"]
    with Image.open(out / "probability" / "cup" / "a.png") as image:
        assert (
            np.abs(np.asarray(image) / 255 - Predictor([network(EXCLUSIVE)])(eye()).probability[2]).max()
            < 2e-3
        )
    assert [(Path(row["image"]).name, row["class"], row["mask"]) for row in found] == [
        ("a.png", "optic disc", "masks/a.png"),
        ("a.png", "cup", "masks/a.png"),
        ("b.png", "optic disc", "masks/b.png"),
        ("b.png", "cup", "masks/b.png"),
    ]
    assert [row["num_parts"] for row in found] == ["2", "1", "0", "0"]
    assert found == rows(out)
    made_by = json.loads((out / "predictions.json").read_text())
    assert made_by["classes"] == ["background", "optic disc", "cup"]
    assert (made_by["task"], made_by["threshold"]) == ("multiclass", None)


def test_overlapping_classes_have_masks_of_their_own(pictures, tmp_path):
    found = predict(OVERLAPPING, pictures, tmp_path / "out", ["probability"])
    mask, probability = Predictor([network(OVERLAPPING)])(eye())
    for number, name in enumerate(["optic disc", "cup"]):
        with Image.open(tmp_path / "out" / "masks" / name / "a.png") as image:
            assert np.array_equal(np.asarray(image), 255 * (mask >> number & 1))
        with Image.open(tmp_path / "out" / "probability" / name / "a.png") as image:
            assert np.array_equal(np.asarray(image), np.rint(probability[number] * 255))
    assert [row["mask"] for row in found[:2]] == ["masks/optic disc/a.png", "masks/cup/a.png"]


def test_every_object_of_every_class_is_measured(pictures, tmp_path):
    predict(EXCLUSIVE, pictures, tmp_path / "out", ["objects"])
    found = rows(tmp_path / "out", "objects.csv")
    assert [(row["class"], row["object"]) for row in found] == [
        ("optic disc", "1"),
        ("optic disc", "2"),
        ("cup", "1"),
    ]
    disc, cup = (
        next(r for r in rows(tmp_path / "out") if r["class"] == name) for name in ("optic disc", "cup")
    )
    assert sum(int(row["area_px"]) for row in found[:2]) == int(disc["area_px"])
    same = ("area_px", "left_px", "centroid_x_px", "perimeter_px", "touches_border", "confidence")
    assert {name: found[2][name] for name in same} == {name: cup[name] for name in same}


@pytest.mark.parametrize("classes", TASKS)
def test_a_prediction_is_continued(pictures, tmp_path, classes):
    out = tmp_path / "out"
    first = predict(classes, pictures, out, ["probability", "objects"])
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.png")}
    (out / "probability" / "cup" / "a.png").write_bytes(b"")  # as after a power failure
    assert predict(classes, pictures, out, ["probability", "objects"]) == first
    changed = {f.name for f, time in before.items() if f.stat().st_mtime_ns != time}
    assert changed == {"a.png"}


def test_a_row_that_lacks_a_class_is_made_again(pictures, tmp_path):
    out = tmp_path / "out"
    first = predict(EXCLUSIVE, pictures, out)
    lines = (out / "predictions.csv").read_text().splitlines(keepends=True)
    (out / "predictions.csv").write_text("".join(lines[:2]))
    assert predict(EXCLUSIVE, pictures, out) == first


def test_results_of_other_classes_are_not_mixed(pictures, tmp_path):
    predict(EXCLUSIVE, pictures, tmp_path / "out")
    other = Predictor([network("background=0,disc=1,cup=2")])
    with pytest.raises(UserError, match="holds results with other classes"):
        predict_files(other, find_images([pictures]), tmp_path / "out")


def test_an_overlay_has_a_colour_for_each_class(pictures, tmp_path):
    Image.fromarray(np.full((60, 60, 3), BLUE, np.uint8)).save(pictures / "c.png")
    predict(EXCLUSIVE, pictures, tmp_path / "out", ["overlay", "outline"])
    with Image.open(tmp_path / "out" / "overlay" / "c.png".replace("png", "jpg")) as image:
        found = np.asarray(image)[30, 30].astype(int)
    cup = np.array(list(bytes.fromhex(colour_of(2)[1:])))
    assert found == pytest.approx(0.65 * np.array(BLUE) + 0.35 * cup, abs=8)
    assert (tmp_path / "out" / "outline" / "a.jpg").is_file()


def test_an_image_that_cannot_be_used_is_one_row(pictures, tmp_path):
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = predict(EXCLUSIVE, pictures, tmp_path / "out")
    assert [row["class"] for row in found] == ["optic disc", "cup", "optic disc", "cup", ""]
    assert found[4]["error"]


def test_folders_of_classes_are_apart_on_every_system():
    assert class_folders(["a b", "A B", "..", "?", "disc"]) == ["a b", "A B-2", "-", "--2", "disc"]


def test_a_volume_keeps_the_numbers_of_classes(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = np.random.default_rng(0).integers(0, 200, (40, 30, 3)).astype(np.uint8)
    nibabel.Nifti1Image(volume, np.diag([2.0, 1, 3, 1])).to_filename(tmp_path / "v.nii.gz")
    predict(EXCLUSIVE, tmp_path / "v.nii.gz", tmp_path / "out", ["probability"])
    mask = nibabel.load(tmp_path / "out" / "masks" / "v.nii.gz")
    assert set(np.unique(mask.get_fdata())) <= {0, 1, 2}
    assert np.array_equal(mask.affine, np.diag([2.0, 1, 3, 1]))
    slices = sorted((tmp_path / "out" / "masks" / "v").glob("*.png"))
    with Image.open(slices[1]) as image:
        assert np.array_equal(np.asarray(image).T, mask.get_fdata()[..., 1])
    assert (tmp_path / "out" / "probability" / "cup" / "v.nii.gz").is_file()
