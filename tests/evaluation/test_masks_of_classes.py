"""Masks of several classes that are not the study's own: another tool's, a second rater's, other data."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile
from empty_reports import empty_reports
from PIL import Image
from small import CLASSES, TINY, write_classes

import segstudy
from segstudy.analysis.class_scores import summarised
from segstudy.cli.formatting import evaluation_text
from segstudy.core.classes import parse_classes
from segstudy.core.errors import UserError
from segstudy.core.mask_rules import AUTO, MaskMeaning, MaskRule
from segstudy.core.score_words import CLASS_SCORES
from segstudy.data.masks import read_mask
from segstudy.data.sources import PerClass
from segstudy.evaluation.class_rows import confusion_of
from segstudy.evaluation.class_scores import compare
from segstudy.evaluation.mask_folders import find_masks
from segstudy.evaluation.mask_meaning import meaning_of_masks
from segstudy.evaluation.second_rater import raters_ious
from segstudy.reporting.sections.external import external_tables
from segstudy.store.folder import StudyFolder

GRID = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial", "images": False}
EYES = MaskMeaning(AUTO.rule, None, parse_classes("background=0,disc=1,cup=2"))
OVERLAPPING = MaskMeaning(MaskRule("larger"), None, parse_classes("disc,cup"))


def save(mask, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(mask, np.uint8)).save(file)
    return file


# What the values mean.


def meaning(tmp_path, values, truth=EYES, asked=AUTO):
    mask = np.tile(np.repeat(values, 8), (8, 1))
    return meaning_of_masks([save(mask, tmp_path / "masks" / "a.png")], truth, asked)


def numbers(tmp_path, found):
    return read_mask(tmp_path / "masks" / "a.png", found)[0, ::8].tolist()


def test_values_are_those_of_the_study(tmp_path):
    coded = MaskMeaning(AUTO.rule, None, parse_classes("background=10,disc=20,cup=30"))
    found = meaning(tmp_path, [30, 10, 20], coded)
    assert numbers(tmp_path, found) == [2, 0, 1]


def test_values_may_be_the_numbers_of_the_classes(tmp_path):
    """As segstudy itself predicts them."""
    coded = MaskMeaning(AUTO.rule, None, parse_classes("background=10,disc=20,cup=30"))
    found = meaning(tmp_path, [2, 0, 1], coded)
    assert numbers(tmp_path, found) == [2, 0, 1]


def test_values_that_can_be_read_in_two_ways_are_refused_with_both(tmp_path):
    swapped = MaskMeaning(AUTO.rule, None, parse_classes("background=0,cup=2,disc=1"))
    with pytest.raises(
        UserError, match=r"--classes background=0,cup=2,disc=1 or --classes background=0,cup=1,disc=2$"
    ):
        meaning(tmp_path, [0, 1, 2], swapped)
    assert numbers(tmp_path, meaning(tmp_path, [0, 0, 0], swapped)) == [0, 0, 0]  # no difference here


def test_classes_that_are_named_have_their_own_values_in_the_study_s_order(tmp_path):
    asked = MaskMeaning(AUTO.rule, None, parse_classes("background=7,cup=8,disc=9"))
    found = meaning(tmp_path, [7, 8, 9], EYES, asked)
    assert [each.name for each in found.classes] == ["background", "disc", "cup"]
    assert numbers(tmp_path, found) == [0, 2, 1]


@pytest.mark.parametrize("classes", ["background=0,disc=1", "background=0,disc=1,rim=2", "disc,cup"])
def test_other_classes_than_those_of_the_study_are_refused(tmp_path, classes):
    with pytest.raises(UserError, match="--classes must name the classes of the study, background=0,disc=1"):
        meaning(tmp_path, [0, 1, 2], EYES, MaskMeaning(AUTO.rule, None, parse_classes(classes)))


def test_classes_in_a_study_with_one_foreground_are_refused(tmp_path):
    with pytest.raises(UserError, match="--classes: the study has one foreground"):
        meaning(tmp_path, [0, 1], MaskMeaning(), EYES)


def test_a_foreground_in_a_study_of_several_classes_is_refused(tmp_path):
    with pytest.raises(UserError, match="--foreground: the study has the classes background, disc, cup"):
        meaning(tmp_path, [0, 1], EYES, MaskMeaning(AUTO.rule, (1,)))


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 100, 200], [5, 5, 5]], ids=str)
def test_what_score_says_of_several_values_names_its_own_options(tmp_path, values):
    """It has no `--foreground`; and a cut would make flat class numbers background."""
    binary = MaskMeaning(MaskRule("larger"))
    with pytest.raises(UserError, match="save the foreground alone, as 0 and 255") as refused:
        meaning(tmp_path, values, binary)
    assert "--foreground" not in str(refused.value)
    assert "cut" not in str(refused.value)
    if len(set(values)) > 1:
        found = meaning(tmp_path, values, binary, MaskMeaning(MaskRule("background", "0")))
        assert numbers(tmp_path, found) == [False, True, True]


def test_colours_that_are_scored_are_black_and_others(tmp_path):
    save_colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)[np.tile([0, 1, 2], (9, 3))]
    (tmp_path / "masks").mkdir()
    Image.fromarray(save_colours).save(tmp_path / "masks/a.png")
    masks, binary = [tmp_path / "masks/a.png"], MaskMeaning(MaskRule("larger"))
    with pytest.raises(UserError, match="choose --masks 'background=#000000'") as refused:
        meaning_of_masks(masks, binary)
    assert "--foreground" not in str(refused.value)
    assert meaning_of_masks(masks, binary, MaskMeaning(MaskRule("background", "#000000")))


def test_values_of_no_class_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.png: .*3.*masks of background, disc, cup hold the values of"):
        meaning(tmp_path, [0, 1, 3])


def test_ignored_values_stay_ignored(tmp_path):
    void = MaskMeaning(AUTO.rule, None, EYES.classes, (255,))
    assert numbers(tmp_path, meaning(tmp_path, [0, 2, 255], void)) == [0, 2, 255]


# Where they lie.


def layers(folder, ids, classes=("disc", "cup")):
    for name in classes:
        for sample_id in ids:
            save(np.tile([0] * 4 + [255] * 4, (8, 1)), folder / name / f"{sample_id}.png")
    return folder


@pytest.mark.parametrize("where", ["", "net", "seed0", "net/seed1"])
def test_masks_of_overlapping_classes_lie_in_a_folder_for_each(tmp_path, where):
    layers(tmp_path / where, ["a", "test/b"])
    (found,), _ = find_masks(tmp_path, ["a", "test/b"], classes=("disc", "cup"))
    (masks,) = found.seeds.values()
    assert sorted(masks) == ["a", "test/b"]
    assert masks["a"] == PerClass(
        (("cup", tmp_path / where / "cup/a.png"), ("disc", tmp_path / where / "disc/a.png"))
    )
    assert read_mask(masks["a"], OVERLAPPING)[0].tolist() == [0] * 4 + [3] * 4


def test_the_folder_of_the_class_may_come_first(tmp_path):
    """As ``segstudy predict`` writes the masks of a data set's images."""
    for name in ("disc", "cup"):
        layers(tmp_path / name, ["a"], ("images",))
    (found,), _ = find_masks(tmp_path, ["a"], classes=("disc", "cup"))
    assert found.name == "images"
    assert [name for name, _ in found.seeds[0]["a"].masks] == ["cup", "disc"]


def test_a_class_without_the_mask_of_an_image_is_refused(tmp_path):
    layers(tmp_path, ["a", "b"])
    (tmp_path / "cup/b.png").unlink()
    with pytest.raises(UserError, match=r"cup: has no mask of b, and disc/ has one; save an empty mask"):
        find_masks(tmp_path, ["a", "b"], classes=("disc", "cup"))


def test_a_folder_of_no_class_is_refused(tmp_path):
    layers(tmp_path, ["a"], ("disc", "rim"))
    with pytest.raises(UserError, match=r"rim: masks of classes that may overlap lie in .*: disc/, cup/$"):
        find_masks(tmp_path, ["a"], classes=("disc", "cup"))


# What they score.


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("eyes") / "set", void=True)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    fields = {**TINY["fields"], "classes": CLASSES, "ignore": "255"}
    out = tmp_path_factory.mktemp("studies") / "s"
    with empty_reports():
        return segstudy.run(dataset, out=out, **{**TINY, "fields": fields}, **GRID).path


@pytest.fixture
def study(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "s"))


def scored(study):
    (split,) = json.loads((study / "split.json").read_text())["splits"]
    return [*split["validation"], *split["test"]]


def truth(dataset, sample_id):
    return np.asarray(Image.open(dataset / "masks" / f"{sample_id}.png"))


def shifted(mask):
    """A predicted mask: two pixels to the right, and no pixel without a class."""
    return np.where(mask == 255, 0, np.roll(mask, 2, axis=1))


def test_masks_of_another_tool_are_scored_by_class(study, dataset, tmp_path):
    for sample_id in scored(study):
        save(shifted(truth(dataset, sample_id)), tmp_path / "tool" / f"{sample_id}.png")
    (record,) = segstudy.score(dataset, tmp_path / "tool", study)
    folder = StudyFolder(study)
    images, classes = folder.external_images("tool"), folder.external_classes_in("tool")
    outputs = folder.study().protocol.outputs()
    for row in images.iter_rows(named=True):
        mask = truth(dataset, row["id"])
        compared = compare(shifted(mask), mask, outputs, "native")
        assert row["native_iou"] == compared.mean()["native_iou"]
        rows = classes.filter(pl.col("id") == row["id"])
        assert rows["class"].to_list() == ["background", "disc", "cup"]
        assert rows["predicted_px"].to_list() == confusion_of(shifted(mask), mask, outputs).tolist()
        assert rows["native_iou"].to_list() == [compared.scores[n]["native_iou"] for n in range(3)]
    assert record["classes"] == "background=0,disc=1,cup=2"
    run = folder.images(sorted(folder.finished()))
    assert set(images.columns) == {*run.columns, "seed", "fold"} - {"key"}
    assert segstudy.verify(study).faults == ()


def test_pixels_that_only_the_tool_ignores_are_refused(study, dataset, tmp_path):
    for sample_id in scored(study):
        mask = truth(dataset, sample_id).copy()
        mask[5] = 255
        save(mask, tmp_path / "tool" / f"{sample_id}.png")
    with pytest.raises(UserError, match=r"ignores \d+ pixels that the study counts"):
        segstudy.score(dataset, tmp_path / "tool", study)


def unseen(folder, **options):
    """Five pictures that were not seen in training: in pieces."""
    other = write_classes(folder, 5, **options)
    for i, file in enumerate(sorted((other / "images").iterdir())):
        pixels = np.asarray(Image.open(file)).copy()
        pixels[:: 2 + i] = np.random.default_rng(i).permuted(pixels[:: 2 + i], axis=1)
        pixels[: 8 * (i + 1)] //= 4
        Image.fromarray(pixels).save(file)
    return other


def test_models_are_evaluated_on_other_data_by_class(study, tmp_path):
    other = unseen(tmp_path / "other")
    record = segstudy.evaluate(study, other)
    assert record["classes"] == "background=0,disc=1,cup=2"
    folder = StudyFolder(study)
    classes = folder.external_classes_in(record["name"])
    assert classes.height == 3 * 5
    assert {"seed", "fold", "predicted_px", "native_iou", "network_iou"} <= set(classes.columns)
    cup = classes.filter(pl.col("class") == "cup")
    there = cup.filter("in_truth")
    present = cup.filter(pl.col("in_truth") | pl.col("in_prediction"))
    found = record["class_scores"]["cup"]
    assert found["num_images"] == there.height == 3
    assert found["iou"]["mean"] == pytest.approx(present["native_iou"].mean())
    (key,) = record["keys"]
    own = folder.classes([key]).filter(pl.col("part") == "test", pl.col("class") == "disc")
    in_domain = record["in_domain"]["class_scores"]["disc"]
    assert in_domain["num_images"] == own["in_truth"].sum()
    assert in_domain["iou"]["mean"] == pytest.approx(own["native_iou"].mean())
    text = evaluation_text(record)
    assert re.search(r"\ncup +[\d.–]+ +\d+ +[\d.]+ +3\n", text)
    assert text.endswith(CLASS_SCORES)
    page = segstudy.report(study, images=False).read_text(encoding="utf-8")
    assert CLASS_SCORES in page
    (table,) = external_tables(folder)
    assert [row[0] for row in table["by_class"]] == ["background", "disc", "cup"]


def test_an_evaluation_of_all_folds_has_the_mean_of_each_image_over_them(tmp_path):
    outputs = EYES.outputs
    rows = pl.DataFrame(
        [
            {
                **{"seed": 0, "fold": fold, "id": i, "part": "test", "class": name, "native_iou": iou},
                **{"in_truth": name != "cup", "in_prediction": True},
                **dict.fromkeys(("num_objects", "num_missed", "num_invented"), 1),
            }
            for fold, iou in ((0, 0.2), (1, 0.6))
            for i in ("a", "b")
            for name in outputs.names
        ]
    )
    found = summarised(rows, outputs, {})
    assert found is not None
    assert found["disc"] == {"num_images": 2, "iou": {"mean": pytest.approx(0.4), "low": None, "high": None}}
    assert found["cup"] == {"num_images": 0, "iou": None}
    assert summarised(rows[1:], outputs, {}) is None


def test_other_data_with_other_classes_are_refused(study, tmp_path):
    other = write_classes(tmp_path / "other", 5)
    with pytest.raises(UserError, match="--classes must name the classes of the study"):
        segstudy.evaluate(study, other, classes="background=0,disc=1,rim=2")


def test_masks_in_folders_of_classes_are_refused_with_what_the_model_takes(study, tmp_path):
    """`evaluate` takes no other classes than the model's: `--classes cup,disc` was no remedy."""
    other = unseen(tmp_path / "other", overlapping=True)
    with pytest.raises(UserError, match="classes exclude each other") as refused:
        segstudy.evaluate(study, other)
    assert "--classes" not in str(refused.value)
    assert "as one file in masks/, with the values 0 for background, 1 for disc, 2 for cup" in str(
        refused.value
    )
    for file in sorted((other / "masks/disc").iterdir()):
        disc, cup = (np.asarray(Image.open(other / "masks" / name / file.name)) for name in ("disc", "cup"))
        save(np.where(cup > 0, 2, disc > 0), other / "masks" / file.name)
    for name in ("disc", "cup"):
        shutil.rmtree(other / "masks" / name)
    assert segstudy.evaluate(study, other)["num_images"] == 5


def test_a_value_of_no_class_is_ignored_or_named_in_evaluation(study, tmp_path):
    other = unseen(tmp_path / "other")
    file = other / "masks/eye01.png"
    save(np.where(np.asarray(Image.open(file)) == 2, 7, np.asarray(Image.open(file))), file)
    with pytest.raises(UserError, match="7; name the class in --classes, or the value in --ignore"):
        segstudy.evaluate(study, other)
    assert segstudy.evaluate(study, other, ignore=7, name="ignored")["num_images"] == 5
    named = segstudy.evaluate(study, other, classes=f"{CLASSES}+7", name="named")
    assert named["classes"] == f"{CLASSES}+7"


@pytest.mark.parametrize("bands", [4, 6])
def test_images_of_other_channels_are_refused_without_an_option(study, tmp_path, bands):
    other = unseen(tmp_path / "other")
    for file in sorted((other / "images").iterdir()):
        pixels = np.asarray(Image.open(file).convert("RGB"))
        file.unlink()
        values = np.dstack([pixels, pixels])[..., :bands]
        tifffile.imwrite(file.with_suffix(".tif"), values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(
        UserError, match=r"the model takes images with 3 channels; save .* as an RGB image"
    ) as no:
        segstudy.evaluate(study, other)
    assert "--channels" not in str(no.value)


def test_two_raters_agree_by_class_where_both_count(dataset, tmp_path):
    sample = next(iter(segstudy.data.datasets.read(dataset).samples))
    void = MaskMeaning(MaskRule("larger"), None, EYES.classes, (255,))
    mask = truth(dataset, sample.id)
    other = mask.copy()
    other[:20] = 255
    save(other, tmp_path / f"{sample.id}.png")
    assert raters_ious(tmp_path, {sample.id: sample}, [sample.id], void) == {sample.id: 1.0}
    other[20:] = 0
    save(other, tmp_path / f"{sample.id}.png")
    assert raters_ious(tmp_path, {sample.id: sample}, [sample.id], void) == {sample.id: 0.0}
