"""What any network has to beat, and when the table is written again."""

import numpy as np
import polars as pl
import pytest
from PIL import Image
from small import write_dataset

from segstudy.config.study import extend, override, preset_study
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.split import Split, make_folds
from segstudy.evaluation.baselines import baseline_table, up_to_date, write_baselines
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import carry_out
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture(scope="module")
def samples(dataset):
    return read(dataset).samples


@pytest.fixture(scope="module")
def prepared(samples):
    return open_prepared(prepare(samples, fingerprint(samples), (32, 32), "squash"))


def one_split(samples):
    ids = [sample.id for sample in samples]
    return {("auto", 0, None): Split(tuple(ids[:6]), tuple(ids[6:9]), tuple(ids[9:]))}


def test_all_foreground_scores_the_share_of_foreground(dataset, samples, prepared):
    table = baseline_table(prepared, "data", one_split(samples))
    for row in table.filter(pl.col("baseline") == "all foreground").iter_rows(named=True):
        mask = np.asarray(Image.open(dataset / "masks" / f"{row['id']}.png")) > 0
        assert row["native_iou"] == pytest.approx(mask.mean())
        assert row["native_recall"] == 1


def test_the_mean_mask_is_of_the_training_part_alone(samples, prepared):
    """Brought to native size and back it is the mean of six masks, cut at a half."""
    split = one_split(samples)
    table = baseline_table(prepared, "data", split).filter(pl.col("baseline") == "mean mask")
    mean = np.mean([prepared.masks[i] for i in range(6)], axis=0)
    position = prepared.ids.index(table["id"][0])
    height, width = prepared.native_sizes[position]
    enlarged = Image.fromarray(mean.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    predicted, true = np.asarray(enlarged) >= 0.5, prepared.native_mask(position)
    assert table["native_iou"][0] == (predicted & true).sum() / (predicted | true).sum()
    others = {key: Split(parts.test, parts.validation, parts.train) for key, parts in split.items()}
    swapped = baseline_table(prepared, "data", others).filter(pl.col("baseline") == "mean mask")
    both = table.join(swapped, on=["id", "part"])
    assert (both["native_iou"] != both["native_iou_right"]).any()


def test_every_fold_has_its_own_mean_mask(samples, prepared):
    folds = make_folds(samples, 3, 0)
    table = baseline_table(prepared, "data", {("folds", 0, k): fold for k, fold in enumerate(folds)})
    test = table.filter((pl.col("part") == "test") & (pl.col("baseline") == "mean mask"))
    assert sorted(test["id"]) == [sample.id for sample in samples]
    assert test["fold"].n_unique() == 3


def test_a_table_is_up_to_date_for_its_data_and_parts_only(samples, prepared):
    split = one_split(samples)
    table = baseline_table(prepared, "data", split)
    assert up_to_date(table, "data", split)
    assert not up_to_date(None, "data", split)
    of_classes = table.with_columns(truth=pl.lit("several"))
    assert up_to_date(of_classes, "data", split, "several")
    assert not up_to_date(of_classes, "data", split)
    assert not up_to_date(of_classes, "data", split, "others")
    assert not up_to_date(table, "data", split, "several")
    assert not up_to_date(table, "other", split)
    (parts,) = split.values()
    assert not up_to_date(table, "data", {("auto", 1, None): parts})
    assert not up_to_date(
        table, "data", {("auto", 0, None): Split(parts.train, parts.test, parts.validation)}
    )


def test_the_table_is_written_once(dataset, samples, tmp_path):
    folder = StudyFolder(tmp_path)
    protocol = preset_study("classic", "s", str(dataset)).protocol
    arguments = (folder, samples, fingerprint(samples), one_split(samples), protocol)
    write_baselines(*arguments)
    first = (tmp_path / "baselines.parquet").stat().st_mtime_ns
    write_baselines(*arguments)
    assert (tmp_path / "baselines.parquet").stat().st_mtime_ns == first
    assert folder.baselines().height == 2 * 6


def test_a_finished_study_gets_its_baselines_at_the_next_run(dataset, tmp_path):
    fields = {"image_size": [32], "width": [2], "epochs": [1], "architecture": ["unet"], "loss": ["bce"]}
    study = override(preset_study("classic", "tiny", str(dataset)), {**fields, "batch_size": [4]})
    folder = StudyFolder(tmp_path / "s")
    plan = make_plan(study, SERIAL)
    write_plan(plan, folder)
    assert folder.baselines() is None
    assert list(carry_out(plan, [], folder, SERIAL)) == []
    assert set(folder.baselines()["part"]) == {"validation", "test"}
    again = make_plan(extend(study, {"split_seed": [1]}), SERIAL)
    list(carry_out(again, [], folder, SERIAL))
    assert set(folder.baselines()["split_seed"]) == {key.split_seed for key in again.splits}


def test_predicting_nothing_is_a_baseline_where_any_true_mask_is_empty(tmp_path):
    root = write_dataset(tmp_path / "set", n=12)
    file = sorted((root / "masks").iterdir())[10]  # a test image
    with Image.open(file) as mask:
        size = mask.size
    Image.new("L", size).save(file)
    samples = read(root).samples
    emptied = open_prepared(prepare(samples, fingerprint(samples), (32, 32), "squash"))
    table = baseline_table(emptied, "data", one_split(samples)).filter(pl.col("baseline") == "all background")
    scores = dict(table.select("id", "native_iou").iter_rows())
    assert len(scores) == 6
    assert {sample_id for sample_id, iou in scores.items() if iou == 1} == {file.stem}
    assert set(scores.values()) == {0, 1}
