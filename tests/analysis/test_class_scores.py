"""The scores by class: which images count, means, intervals."""

import numpy as np
import polars as pl
import pytest
from fake_study import make_study, rewrite, sample_ids
from made_up_classes import finish_classes

from segstudy.analysis.compare import compare_configurations
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.result_warnings import result_warnings
from segstudy.analysis.results import gather
from segstudy.core.errors import UserError
from segstudy.store.folder import StudyFolder

CLASSES = "background=0,disc=1,cup=2,rim=3"
NAMES = ("unet-ce-b8", "unet-dice-b8")


def study(tmp_path, seeds: int = 2, classes: str = CLASSES, **fields) -> StudyFolder:
    return make_study(tmp_path / "s", ("unet",), ("bce", "dice"), seeds=seeds, classes=classes, **fields)


def rows_of(folder: StudyFolder, keys) -> pl.DataFrame:
    return folder.classes(keys).filter(pl.col("part") == "test")


def test_a_class_has_the_mean_over_the_images_whose_mask_or_prediction_has_it(tmp_path):
    folder = study(tmp_path)
    keys = [finish_classes(folder, "unet-bce-b8", 4, seed=seed) for seed in range(2)]
    results = gather(folder)
    rows = rows_of(folder, keys).filter(pl.col("in_truth") | pl.col("in_prediction"))
    for number, name in enumerate(results.outputs.names):
        mine = rows.filter(pl.col("class") == name)
        expected = np.mean([mine.filter(pl.col("key") == key)["native_iou"].mean() for key in keys])
        assert results.class_interval("unet-bce-b8", number).mean == pytest.approx(expected)


def test_the_columns_of_images_are_the_mean_over_the_classes_of_an_image(tmp_path):
    """What the made-up study stores is what ``table`` says, so that later tests rest on it."""
    folder = study(tmp_path)
    for seed in range(2):
        finish_classes(folder, "unet-bce-b8", 4, seed=seed)
    results = gather(folder)
    found = results.classes["unet-bce-b8"]
    scored = list(results.outputs.scored)
    sums, present = found.sums["native_iou"][:, :, scored], found.present[:, :, scored]
    headline = np.where(present.sum(2) > 0, sums.sum(2) / np.maximum(present.sum(2), 1), 1.0)
    assert headline == pytest.approx(results.scores("unet-bce-b8"))


def test_missed_and_invented_images_and_objects_are_counted_per_run(tmp_path):
    folder = study(tmp_path)
    keys = [finish_classes(folder, "unet-bce-b8", 4, seed=seed) for seed in range(2)]
    found, rows = gather(folder).classes["unet-bce-b8"], rows_of(folder, keys)
    for number, name in enumerate(found.names):
        mine = rows.filter(pl.col("class") == name)
        missed = mine.filter(pl.col("in_truth") & ~pl.col("in_prediction")).height / 2
        invented = mine.filter(~pl.col("in_truth") & pl.col("in_prediction")).height / 2
        assert found.num_images(number) == mine.filter("in_truth").height / 2
        assert found.num_missed_images[number] == missed
        assert found.num_invented_images[number] == invented
        if number:
            sums = [mine[name].sum() / 2 for name in ("num_objects", "num_missed", "num_invented")]
            assert found.objects[:, number] == pytest.approx(sums)
    assert np.isnan(found.objects[:, 0]).all()


def test_the_image_on_which_only_one_run_invents_a_class_counts_for_this_run_alone(tmp_path):
    folder = study(tmp_path)
    keys = [finish_classes(folder, "unet-bce-b8", 0.1, seed=seed) for seed in range(2)]
    first = sample_ids()["test"][0]
    for place, key in enumerate(keys):
        file = folder.runs / key / "classes.parquet"
        here = (pl.col("id") == first) & (pl.col("class") == "cup")
        rewrite(
            file,
            pl.read_parquet(file).with_columns(
                in_truth=pl.when(here).then(False).otherwise("in_truth"),
                in_prediction=pl.when(here).then(place == 1).otherwise("in_prediction"),
                native_iou=pl.when(here).then(float(place == 0)).otherwise("native_iou"),
            ),
        )
    found = gather(folder).classes["unet-bce-b8"]
    others = found.sums["native_iou"][:, 1:, 2].sum(1)
    images = found.present[:, :, 2].any(0)
    assert found.of(2, images, "native_iou").mean(1) == pytest.approx(others / [8, 9])


def test_a_class_without_a_true_pixel_has_no_score_and_few_images_no_interval(tmp_path):
    folder = study(tmp_path, classes=f"{CLASSES},nothing=9")
    keys = [finish_classes(folder, "unet-bce-b8", 3, seed=seed) for seed in range(2)]
    for key in keys:
        file = folder.runs / key / "classes.parquet"
        rewrite(
            file,
            pl.read_parquet(file).with_columns(in_truth=pl.col("in_truth") & (pl.col("class") != "nothing")),
        )
    results = gather(folder)
    assert results.class_interval("unet-bce-b8", 4) is None
    found = results.class_interval("unet-bce-b8", 1)
    assert (found.low, found.num_units, found.has_training_noise) == (None, 9, True)
    assert result_warnings(results, ["unet-bce-b8"])[0] == (
        "No test mask holds the class nothing: nothing is known of how well that is found."
    )


def test_folds_and_repeats_are_joined_as_everywhere(tmp_path):
    folder = study(tmp_path, seeds=1, folds=3)
    parts = [sample_ids(f"fold{fold}-{{:02}}") for fold in range(3)]  # every fold tests on images of its own
    splits = [{"split": "auto", "split_seed": 0, "fold": n, **each} for n, each in enumerate(parts)]
    folder.write_json("split.json", {"splits": splits})
    keys = [finish_classes(folder, "unet-bce-b8", 3, fold=n, ids=f"fold{n}-{{:02}}") for n in range(3)]
    results = gather(folder)
    found = results.classes["unet-bce-b8"]
    assert found.predicted.shape == (1, 27, 4)
    disc = rows_of(folder, keys).filter(pl.col("class") == "disc").sort("id")["native_iou"].to_numpy()
    assert found.sums["native_iou"][0, :, 1] == pytest.approx(disc)


def test_a_run_without_scores_by_class_or_with_other_classes_leaves_its_configuration_out(tmp_path):
    folder = study(tmp_path, seeds=1)
    first = finish_classes(folder, "unet-bce-b8", 3)
    second = finish_classes(folder, "unet-dice-b8", 3)
    assert set(gather(folder).classes) == {"unet-bce-b8", "unet-dice-b8"}
    (folder.runs / first / "classes.parquet").unlink()
    file = folder.runs / second / "classes.parquet"
    renamed = pl.col("class").str.replace("cup", "CUP", literal=True)
    rewrite(file, pl.read_parquet(file).with_columns(renamed))
    assert gather(folder).classes == {}


def test_binary_studies_have_none(tmp_path):
    assert gather(make_study(tmp_path / "s")).classes is None


def test_configurations_of_other_classes_are_not_compared(tmp_path):
    sides = []
    for name, classes in (("a", CLASSES), ("b", "background=0,disc=1+2,rim=3")):
        (tmp_path / name).mkdir()
        folder = study(tmp_path / name, seeds=1, classes=classes)
        finish_classes(folder, "unet-bce-b8", 3)
        sides.append((folder.path, "unet-bce-b8"))
    with pytest.raises(UserError, match="means over other classes and cannot be compared"):
        compare_configurations(*sides)


def test_masks_of_other_tools_have_scores_by_class_if_they_were_scored_with_these_classes(tmp_path):
    folder = study(tmp_path, seeds=1)
    key = finish_classes(folder, "unet-bce-b8", 3)
    classes, images = (
        pl.read_parquet(folder.runs / key / f"{name}.parquet").with_columns(seed=pl.lit(0))
        for name in ("classes", "images")
    )
    record = {"kind": "masks", "seeds": [0], "parts": {"test": {"missing": {}}}}
    folder.write_external("as one", record, images)
    folder.write_external("as these", {**record, "classes": CLASSES}, images, classes)
    results = gather(folder)
    assert "as one" in results.outdated
    assert not results.has("as one")
    assert results.class_interval("as these", 1) == results.class_interval("unet-bce-b8", 1)
    row = next(row for row in leaderboard(folder).to_dicts() if row["configuration"] == "as these")
    assert row["test_iou[cup]"] == results.class_interval("unet-bce-b8", 2).mean
