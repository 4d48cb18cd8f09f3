"""Masks of other tools: how their folders are read, what they score, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from empty_reports import empty_reports
from PIL import Image
from small import TINY, write_dataset

import segstudy
from segstudy.cli.formatting import scores_text
from segstudy.cli.studies import app
from segstudy.core.errors import UserError
from segstudy.data.datasets import human_references
from segstudy.evaluation.mask_folders import find_masks
from segstudy.evaluation.summary import summarise
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou
from segstudy.store.folder import StudyFolder

GRID = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial", "images": False}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A study with one split and one training."""
    with empty_reports():
        return segstudy.run(dataset, out=tmp_path_factory.mktemp("studies") / "s", **TINY, **GRID).path


@pytest.fixture(scope="module")
def folded(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "f"
    with empty_reports():
        return segstudy.run(dataset, out=out, folds=3, **TINY, **GRID).path


@pytest.fixture
def study(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "s"))


def truth(dataset, sample_id):
    return np.asarray(Image.open(dataset / "masks" / f"{sample_id}.png")) > 0


def parts(study):
    (split,) = json.loads((study / "split.json").read_text())["splits"]
    return split


def save(mask, file, white=255):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * white).save(file)


def write_masks(folder, dataset, ids, shift_px=2, white=255):
    """Masks that miss the truth by a shift to the right."""
    for sample_id in ids:
        save(np.roll(truth(dataset, sample_id), shift_px, axis=1), folder / f"{sample_id}.png", white)
    return folder


def scored(study):
    split = parts(study)
    return [*split["validation"], *split["test"]]


def test_a_row_is_the_score_of_the_mask_against_the_truth(study, dataset, tmp_path):
    masks = write_masks(tmp_path / "tool", dataset, scored(study))
    (record,) = segstudy.score(dataset, masks, study)
    rows = StudyFolder(study).external_images("tool")
    assert sorted(rows["id"]) == sorted(scored(study))
    for row in rows.iter_rows(named=True):
        mask = truth(dataset, row["id"])
        assert row["native_iou"] == iou(confusion(np.roll(mask, 2, axis=1), mask))
        assert row["part"] == ("test" if row["id"] in parts(study)["test"] else "validation")
        assert 0 < row["native_hd95_px"] <= 2
    assert record["scores"]["test"]["iou"]["mean"] == pytest.approx(
        rows.filter(pl.col("part") == "test")["native_iou"].mean()
    )
    (stored,) = StudyFolder(study).externals()
    assert stored.model_dump() == json.loads((study / "external/tool/record.json").read_text())


def test_the_columns_are_those_of_a_run_with_null_for_what_a_mask_does_not_tell(study, dataset, tmp_path):
    segstudy.score(dataset, write_masks(tmp_path / "tool", dataset, scored(study)), study)
    folder = StudyFolder(study)
    rows, run = folder.external_images("tool"), folder.images(sorted(folder.finished()))
    assert set(rows.columns) == {*run.columns, "seed", "fold"} - {"key"}
    assert {name: rows[name].dtype for name in run.columns if name != "key"} == {
        name: run[name].dtype for name in run.columns if name != "key"
    }
    unknown = {name for name in rows.columns if rows[name].null_count()}
    assert unknown == {n for n in run.columns if n.startswith("network_")} | {
        "fold",
        "native_iou_tuned",
        "native_ece",
        "native_brier",
    }


@pytest.mark.parametrize("form", ["0/1", "1-bit", "RGB", "JPEG"])
def test_masks_in_any_form_give_equal_rows(study, dataset, tmp_path, form):
    for sample_id in scored(study):
        mask = np.roll(truth(dataset, sample_id), 2, axis=1)
        save(mask, tmp_path / "plain" / f"{sample_id}.png")
        picture = Image.fromarray(mask.astype(np.uint8) * (1 if form == "0/1" else 255))
        picture = {"1-bit": lambda p: p.convert("1"), "RGB": lambda p: p.convert("RGB")}.get(
            form, lambda p: p
        )(picture)
        (tmp_path / "other").mkdir(exist_ok=True)
        picture.save(tmp_path / "other" / f"{sample_id}.{'jpg' if form == 'JPEG' else 'png'}", quality=95)
    for name in ("plain", "other"):
        segstudy.score(dataset, tmp_path / name, study)
    folder = StudyFolder(study)
    assert folder.external_images("plain").equals(folder.external_images("other"))


def test_a_missing_mask_is_named_and_not_averaged_over_as_if_it_were_there(study, dataset, tmp_path):
    absent = parts(study)["test"][1]
    masks = write_masks(tmp_path / "tool", dataset, set(scored(study)) - {absent})
    (record,) = segstudy.score(dataset, masks, study)
    assert record["parts"]["test"] == {"num_images": 3, "missing": {"0": [absent]}}
    assert record["parts"]["validation"]["missing"] == {}
    assert absent not in StudyFolder(study).external_images("tool")["id"]
    text = scores_text([record])
    assert "2 of 3 test" in text
    assert f"no mask for {absent} (test), so it cannot win" in text


def test_masks_of_training_images_and_of_no_image_are_ignored_and_counted(study, dataset, tmp_path):
    everything = [f"disc{i:02}" for i in range(12)]
    masks = write_masks(tmp_path / "tool", dataset, everything)
    shutil.copy(masks / "disc00.png", masks / "disc00_pred.png")
    (record,) = segstudy.score(dataset, masks, study)
    assert record["ignored"] == {"count": 6, "first": parts(study)["train"][:5]}
    assert record["strangers"] == {"count": 1, "first": ["disc00_pred.png"]}
    assert "tool: ignored 6 masks of other images: " in scores_text([record])
    assert "ignored, because no image has this name: disc00_pred.png" in scores_text([record])
    assert sorted(StudyFolder(study).external_images("tool")["id"]) == sorted(scored(study))


def test_a_mask_of_another_size_is_refused_by_name_and_nothing_is_written(study, dataset, tmp_path):
    masks = write_masks(tmp_path / "tool", dataset, scored(study))
    wrong = parts(study)["test"][0]
    save(np.ones((32, 32), bool), masks / f"{wrong}.png")
    with pytest.raises(UserError, match=rf"{wrong}.png: 32 x 32 px, but the image has \d+ x \d+"):
        segstudy.score(dataset, masks, study)
    assert not (study / "external").exists()


def test_a_mask_of_several_classes_is_refused_with_a_remedy_that_works(study, dataset, tmp_path):
    masks = write_masks(tmp_path / "tool", dataset, scored(study))
    classes = truth(dataset, scored(study)[0]).astype(np.uint8)
    classes[:2] = 2
    Image.fromarray(classes).save(masks / f"{scored(study)[0]}.png")
    with pytest.raises(UserError, match="foreground alone, as 0 and 255"):
        segstudy.score(dataset, masks, study)


def test_another_data_set_is_refused(study, dataset, tmp_path):
    masks = write_masks(tmp_path / "tool", dataset, scored(study))
    with pytest.raises(UserError, match=r"not the data set of .*: 4 of 12 samples .*disc08"):
        segstudy.score(write_dataset(tmp_path / "fewer", n=8), masks, study)
    with pytest.raises(UserError, match=r"other images or masks.*--data"):
        segstudy.score(write_dataset(tmp_path / "redrawn", n=12, seed=1), masks, study)


def test_moved_data_with_further_images_are_the_same_data(study, dataset, tmp_path):
    moved = Path(shutil.copytree(dataset, tmp_path / "moved"))
    more = write_dataset(tmp_path / "more", n=14)
    for kind in ("images", "masks"):
        shutil.copy(more / kind / "disc13.png", moved / kind / "disc13.png")
    (record,) = segstudy.score(moved, write_masks(tmp_path / "tool", dataset, scored(study)), study)
    assert record["parts"]["test"]["num_images"] == 3


def test_folders_of_seeds_are_runs_and_the_interval_holds_them(study, dataset, tmp_path):
    for seed in (0, 3):
        write_masks(tmp_path / "tool" / f"seed{seed}", dataset, scored(study), shift_px=1 + seed)
    (record,) = segstudy.score(dataset, tmp_path / "tool", study)
    rows = StudyFolder(study).external_images("tool")
    assert record["seeds"] == [0, 3]
    assert rows.group_by("seed").len().sort("seed").rows() == [(0, 6), (3, 6)]
    assert "over images and runs." in scores_text([record])


def test_one_training_says_that_its_noise_is_not_measured(study, dataset, tmp_path):
    records = segstudy.score(dataset, write_masks(tmp_path / "tool", dataset, scored(study)), study)
    assert "images only, training noise not measured" in scores_text(records)


def test_a_folder_per_model_gives_a_record_per_model_and_a_rerun_replaces_them(study, dataset, tmp_path):
    write_masks(tmp_path / "all" / "a", dataset, scored(study))
    write_masks(tmp_path / "all" / "b" / "seed1", dataset, scored(study))
    first = segstudy.score(dataset, tmp_path / "all", study)
    assert [(record["name"], record["seeds"]) for record in first] == [("a", [0]), ("b", [1])]
    write_masks(tmp_path / "all" / "a", dataset, scored(study), shift_px=0)
    segstudy.score(dataset, tmp_path / "all", study)
    folder = StudyFolder(study)
    assert [record.name for record in folder.externals()] == ["a", "b"]
    assert set(folder.external_images("a")["native_iou"]) == {1.0}
    assert sorted(entry.name for entry in (study / "external").iterdir()) == ["a", "b"]


def test_names_that_are_taken_are_refused(study, dataset, tmp_path):
    masks = write_masks(tmp_path / "unet-bce-b4", dataset, scored(study))
    with pytest.raises(UserError, match=r"the name unet-bce-b4 is used for something else.*--name"):
        segstudy.score(dataset, masks, study)
    assert segstudy.score(dataset, masks, study, "mine")[0]["name"] == "mine"


def test_masks_of_training_images_alone_are_refused(study, dataset, tmp_path):
    with pytest.raises(UserError, match="training images only"):
        segstudy.score(dataset, write_masks(tmp_path / "tool", dataset, parts(study)["train"]), study)


def test_with_folds_every_image_is_tested_once_and_none_validates(folded, dataset, tmp_path):
    study = Path(shutil.copytree(folded, tmp_path / "f"))
    masks = write_masks(tmp_path / "tool", dataset, [f"disc{i:02}" for i in range(12)])
    (record,) = segstudy.score(dataset, masks, study)
    assert record["parts"] == {"test": {"num_images": 12, "missing": {}}}
    assert StudyFolder(study).external_images("tool")["part"].unique().to_list() == ["test"]


def test_splits_that_differ_between_configurations_are_refused(study, dataset, tmp_path):
    splits = json.loads((study / "split.json").read_text())["splits"]
    (study / "split.json").write_text(json.dumps({"splits": [*splits, {**splits[0], "split_seed": 1}]}))
    with pytest.raises(UserError, match="2 splits"):
        segstudy.score(dataset, write_masks(tmp_path / "tool", dataset, ["disc00"]), study)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.png", "b.bmp"], {"tool": {0: {"a", "b"}}}),
        (["seed0/a.png", "Seed_1/a.png"], {"tool": {0: {"a"}, 1: {"a"}}}),
        (["x/a.png", "y/a.png"], {"x": {0: {"a"}}, "y": {0: {"a"}}}),
        (["x/seed2/a.png", "y/b.png"], {"x": {2: {"a"}}, "y": {0: {"b"}}}),
        (["train/c.png"], {"tool": {0: {"train/c"}}}),
        (["x/seed0/train/c.png", "x/.cache/a.png"], {"x": {0: {"train/c"}}}),
    ],
)
def test_the_folders_before_an_id_say_which_model_and_seed(tmp_path, files, expected):
    found, strangers = find_masks(touch(tmp_path / "tool", *files), {"a", "b", "train/c"})
    assert {m.name: {seed: set(files) for seed, files in m.seeds.items()} for m in found} == expected
    assert not strangers


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no mask has the name of an image"),
        (["a_mask.png"], r"a_mask\.png is not\); name them by id, as in a\.png"),
        (["a.png", "a.bmp"], "second mask for a"),
        (["a.png", "x/a.png"], "holds masks as well as"),
        (["x/a.png", "x/seed0/a.png"], "holds masks as well as"),
        (["x/fold0/a.png"], "must be a seed; call it seed0"),
        (["x/a.png", "seed0/a.png"], "a seed of no model"),
        (["seed0/a.png", "seed_00/a.png"], "a second folder for seed 0"),
    ],
)
def test_folders_that_could_mean_two_things_are_refused(tmp_path, files, message):
    (tmp_path / "tool").mkdir()
    with pytest.raises(UserError, match=message):
        find_masks(touch(tmp_path / "tool", *files), {"a", "b"})


def test_a_name_is_for_one_model_and_a_folder_has_to_be_there(tmp_path):
    touch(tmp_path / "tool", "x/a.png", "y/a.png")
    with pytest.raises(UserError, match="2 models, x, y; --name is for one"):
        find_masks(tmp_path / "tool", {"a"}, "mine")
    with pytest.raises(UserError, match="no such folder"):
        find_masks(tmp_path / "nothing", {"a"})


def test_a_summary_averages_folds_and_joins_groups():
    rows = [
        {"seed": seed, "fold": fold, "id": i, "part": "test", "native_iou": value + 0.1 * fold}
        for seed in (0, 1)
        for fold in (0, 1)
        for i, value in (("a", 0.2), ("b", 0.4), ("c", 0.6))
    ]
    table = pl.DataFrame(rows)
    alone = summarise(table, {})["test"]["iou"]
    assert alone["mean"] == pytest.approx(0.45)
    assert alone["low"] < 0.45 < alone["high"]
    joined = summarise(table, {"a": "lesion", "b": "lesion"})["test"]["iou"]
    assert joined["mean"] == pytest.approx(0.45)
    assert joined["high"] - joined["low"] > alone["high"] - alone["low"]


def test_a_summary_has_no_interval_where_seeds_lack_different_images():
    table = pl.DataFrame(
        {"seed": [0, 0, 1], "id": ["a", "b", "a"], "part": ["test"] * 3, "native_iou": [0.5, 0.7, 0.6]}
    )
    assert summarise(table, {})["test"]["iou"] == {"mean": pytest.approx(0.6), "low": None, "high": None}


def test_people_are_a_reference_for_skin_lesions_only():
    assert [reference.iou for reference in human_references("ph2")] == [0.786, 0.683]
    assert human_references("isic") == human_references("ph2")
    assert human_references("folder") == ()


def test_the_command_prints_a_row_per_model_and_fails_with_2(study, dataset, tmp_path, capsys):
    masks = write_masks(tmp_path / "tool", dataset, scored(study), shift_px=0)
    arguments = ["score", str(dataset), str(masks), "--study", str(study)]
    assert app(arguments, result_action="return_value") == 0
    assert "1.000 [1.000, 1.000]" in capsys.readouterr().out
    with pytest.raises(UserError, match="is not a study"):
        app([*arguments[:-1], str(tmp_path)], exit_on_error=False, result_action="return_value")


@pytest.mark.slow
def test_the_true_masks_of_ph2_score_1_in_both_forms(ph2_folder, tmp_path):
    from fake_study import make_study

    from segstudy.data.datasets import read
    from segstudy.data.fingerprint import fingerprint
    from segstudy.data.masks import read_mask

    dataset = read(ph2_folder)
    ids = [sample.id for sample in dataset.samples]
    folder = make_study(tmp_path / "s", data=str(ph2_folder))
    described = [{"id": i, "group": i, "category": None, "part": None} for i in ids]
    data = {"name": "PH2Dataset", "reader": "ph2", "fingerprint": fingerprint(dataset.samples)}
    data |= {"samples": described, "findings": []}
    folder.write_json("data.json", data)
    split = {"train": ids[:180], "validation": ids[180:190], "test": ids[190:]}
    folder.write_json("split.json", {"splits": [{"split": "auto", "split_seed": 0, "fold": None, **split}]})
    for sample in dataset.samples[180:]:
        for name, white in (("grey", 255), ("ones", 1)):
            save(read_mask(sample.mask), tmp_path / "masks" / name / f"{sample.id}.png", white)
    segstudy.score(ph2_folder, tmp_path / "masks", folder.path)
    grey, ones = folder.external_images("grey"), folder.external_images("ones")
    assert grey.equals(ones)
    assert grey.height == 20
    assert set(grey["native_iou"]) == {1.0}
    assert set(grey["native_hd95_px"]) == {0.0}


@pytest.mark.slow
def test_masks_of_a_deterministic_tool_are_compared_though_there_is_one_set_of_them(dataset, tmp_path):
    study = segstudy.run(dataset, out=tmp_path / "s", seeds=3, **TINY, **GRID)
    masks = write_masks(tmp_path / "otsu", dataset, scored(study.path), shift_px=0)
    name = study.leaderboard()["configuration"][0]
    segstudy.score(dataset, masks, study.path)
    before = segstudy.compare(str(study.path), "otsu", name)
    assert before.difference.conclusion == "training noise not measured"
    assert not study.leaderboard().filter("masks")["p_behind"].is_not_null().any()
    (record,) = segstudy.score(dataset, masks, study.path, deterministic=True)
    assert json.loads((study.path / "external/otsu/record.json").read_text())["deterministic"] is True
    found = segstudy.compare(str(study.path), "otsu", name)
    assert found.difference.has_training_noise
    assert found.difference.conclusion != "training noise not measured"
    assert found.difference.mean == before.difference.mean
    assert found.difference.most_df == 2
    assert study.leaderboard().filter("masks")["p_behind"].is_not_null().all()
    assert "1 of 1, deterministic masks" in segstudy.table(study.path)
    assert "deterministic" in scores_text([record])
    page = segstudy.report(study.path).read_text(encoding="utf-8")
    assert "1 of 1, deterministic masks" in page
    # The masks are the true ones, so no network may be the best.
    assert "On test otsu is better all the same: there is no winner. None of the" in page
    for seed in (0, 1):
        write_masks(tmp_path / "seeds" / f"seed{seed}", dataset, scored(study.path))
    with pytest.raises(UserError, match="a deterministic tool has only one set"):
        segstudy.score(dataset, tmp_path / "seeds", study.path, deterministic=True)
