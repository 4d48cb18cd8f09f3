"""`segstudy audit`: planted errors rank first, the study stays as it is, and what is left out is counted."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from empty_reports import empty_reports
from fake_data import save
from planted import Picture, Planted, plant, write

import segstudy
from segstudy.cli.studies import main
from segstudy.core.errors import UserError
from segstudy.data.datasets.synthetic_images import draw
from segstudy.data.masks import read_mask

NUM_IMAGES, NUM_PLANTED = 60, 6
# Of the pairs of a planted and another mask, the share in which the planted one is more suspicious: by chance
# 0.5 with a standard deviation of sqrt(61 / (12 x 6 x 54)) = 0.125; the bound is two of them above.
MIN_AUC = 0.75


@pytest.fixture(scope="module")
def planted_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Planted]]:
    """A study with folds on synthetic images, some with wrong masks; for reading only."""
    drawn = (draw(0, i) for i in range(NUM_IMAGES))
    pictures = [Picture(each.id, each.group, each.image, each.mask.astype(bool)) for each in drawn]
    wrong = plant(pictures, NUM_PLANTED / NUM_IMAGES, 0)
    root = tmp_path_factory.mktemp("planted")
    write(root / "data", pictures, wrong)
    training = {"architecture": "unet", "loss": "bce", "batch_size": 4, "image_size": 32, "width": 8}
    training |= {"folds": 3, "epochs": 10, "lr": 5e-3, "scheduler": "onecycle", "record_test": False}
    with empty_reports():
        segstudy.run(
            root / "data",
            out=root / "study",
            executor="serial",
            workers=1,
            accept_duplicates=True,
            images=False,
            **training,
        )
    return root / "study", wrong


@pytest.fixture(scope="module")
def found(planted_study):
    return segstudy.audit(planted_study[0])


@pytest.mark.slow
def test_planted_errors_rank_above_chance(planted_study, found):
    _, wrong = planted_study
    assert len(wrong) == NUM_PLANTED
    suspicion = {mask.id: mask.suspicion for mask in found.masks}
    assert len(suspicion) == NUM_IMAGES, "with folds every image is tested"
    right = [value for sample_id, value in suspicion.items() if sample_id not in wrong]
    auc = np.mean([np.mean([suspicion[i] > value for value in right]) for i in wrong])
    assert auc >= MIN_AUC
    assert list(suspicion.values()) == sorted(suspicion.values(), reverse=True)


@pytest.mark.slow
def test_nothing_in_the_study_is_changed(planted_study, tmp_path):
    def contents(folder: Path) -> dict[str, str]:
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    before = contents(planted_study[0])
    segstudy.audit(planted_study[0], html=tmp_path / "audit.html")
    assert contents(planted_study[0]) == before
    assert (tmp_path / "audit.html").is_file()


def test_without_folds_only_the_test_subset_is_ranked_and_the_rest_is_counted(trained_study):
    found = segstudy.audit(trained_study)
    (split,) = segstudy.Study(trained_study).folder.splits()
    assert {mask.id for mask in found.masks} == set(split.test)
    assert found.num_untested == len(split.train) + len(split.validation) > 0
    assert {mask.num_networks for mask in found.masks} == {4}
    assert all(0 <= mask.suspicion <= 1 for mask in found.masks)


def test_the_terminal_says_what_was_compared_and_what_was_not(trained_study, capsys):
    (split,) = segstudy.Study(trained_study).folder.splits()
    code, out, _ = called(capsys, "audit", trained_study, "--number", "2")
    text = " ".join(out.split())
    assert code == 0
    assert f"The 2 most suspicious of {len(split.test)} masks." in text
    untested = len(split.train) + len(split.validation)
    assert f"{untested} of {untested + len(split.test)} samples were not tested and are not ranked" in text
    assert "4 runs" in text


def test_csv_and_json_have_all_masks(trained_study, capsys):
    found = segstudy.audit(trained_study)
    csv = pl.read_csv(called(capsys, "audit", trained_study, "--format", "csv")[1].encode())
    rows = json.loads(called(capsys, "audit", trained_study, "--format", "json")[1])
    assert csv["id"].to_list() == [row["id"] for row in rows] == [mask.id for mask in found.masks]
    assert csv["iou"].to_list() == pytest.approx([mask.iou for mask in found.masks])


@pytest.mark.slow
def test_the_exclude_list_of_the_page_is_what_run_accepts(planted_study, found, tmp_path):
    folder, _ = planted_study
    worst = [mask.id for mask in found.masks[:3]]
    (tmp_path / "exclude.txt").write_text(
        "# exclude: 3 of data\n" + "\n".join(worst) + "\n", encoding="utf-8"
    )
    made, *_ = segstudy.plan(folder, exclude=tmp_path / "exclude.txt")
    assert set(made.study.exclude) == set(worst)


@pytest.mark.slow
def test_a_second_raters_masks_give_the_human_ceiling(planted_study, tmp_path, capsys):
    folder, _ = planted_study
    found = segstudy.audit(folder)
    for mask in found.masks[:40]:
        first = read_mask(found.samples[mask.id].mask)
        save(tmp_path / "rater2" / f"{mask.id}.png", np.roll(first, 4, 1))
    second = segstudy.audit(folder, masks2=tmp_path / "rater2").second
    assert second.num_missing == NUM_IMAGES - 40
    ious = {}
    for mask in found.masks[:40]:
        first = read_mask(found.samples[mask.id].mask)
        other = np.roll(first, 4, 1)
        ious[mask.id] = (first & other).sum() / (first | other).sum()
    assert second.ious == pytest.approx(ious)
    assert second.interval.mean == pytest.approx(np.mean(list(ious.values())))
    scores = segstudy.Study(folder).images().filter(pl.col("part") == "test")
    expected = scores.filter(pl.col("id").is_in([*ious]))["native_iou"].mean()
    assert second.models["unet-bce-b4"].mean == pytest.approx(expected)
    out = called(capsys, "audit", folder, "--masks2", tmp_path / "rater2", "-n", 3)[1]
    assert "Second rater (rater2): mean IoU of both raters" in " ".join(out.split())


@pytest.mark.slow
def test_masks2_beside_the_masks_is_found_by_itself(planted_study, found, tmp_path):
    folder, _ = planted_study
    data = tmp_path / "data"
    shutil.copytree(folder.parent / "data", data)
    shutil.copytree(data / "masks", data / "masks2")
    again = segstudy.audit(folder, data=data)
    assert again.second.interval.mean == 1
    assert [mask.id for mask in again.masks] == [mask.id for mask in found.masks]


@pytest.mark.slow
def test_masks_of_several_raters_or_of_another_size_are_refused(planted_study, found, tmp_path):
    folder, _ = planted_study
    some = found.masks[0].id
    save(tmp_path / "small" / f"{some}.png", np.eye(20, dtype=bool))
    with pytest.raises(UserError, match=r"must be .* px as the image, got 20 x 20"):
        segstudy.audit(folder, masks2=tmp_path / "small")
    for rater in ("a", "b"):
        save(tmp_path / "two" / rater / f"{some}.png", np.eye(20, dtype=bool))
    with pytest.raises(UserError, match="several sets of masks"):
        segstudy.audit(folder, masks2=tmp_path / "two")


@pytest.mark.slow
def test_masks_that_were_mended_since_the_training_are_refused(planted_study, tmp_path):
    folder, _ = planted_study
    data = tmp_path / "data"
    shutil.copytree(folder.parent / "data", data)
    mask = next((data / "masks").glob("*.png"))
    save(mask, ~read_mask(mask))
    with pytest.raises(UserError, match="other images or masks"):
        segstudy.audit(folder, data=data)


@pytest.mark.slow
def test_a_study_without_runs_data_or_predictions_is_refused_in_a_line(planted_study, tmp_path):
    folder, _ = planted_study
    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    predictions = next((copy / "runs").glob("*/predictions.parquet"))
    predictions.unlink()
    with pytest.raises(UserError, match=r"predictions\.parquet is missing"):
        segstudy.audit(copy, data=folder.parent / "data")
    shutil.rmtree(next((copy / "runs").iterdir()))
    with pytest.raises(UserError, match="no configuration has all its runs"):
        segstudy.audit(copy)
    with pytest.raises(UserError, match="no such folder"):
        segstudy.audit(folder, data=tmp_path / "nowhere")
    moved = shutil.copytree(folder, tmp_path / "moved")
    file = moved / "study.toml"
    file.write_text(re.sub("(?m)^data = .*", 'data = "nowhere"', file.read_text()))
    with pytest.raises(UserError, match="nowhere: the data set is not there; give its folder with --data"):
        segstudy.audit(moved)


def called(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err
