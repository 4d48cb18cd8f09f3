"""Models on data they have never seen: the scores, and every way in which the data may have been seen."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from empty_reports import empty_reports
from PIL import Image
from small import TINY, write_dataset

import segstudy
from segstudy.cli.formatting import evaluation_text
from segstudy.cli.studies import app
from segstudy.core.errors import UserError
from segstudy.data.images import read_image
from segstudy.data.preprocess import image_to_network, prob_to_native
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou
from segstudy.store.folder import StudyFolder
from segstudy.store.weights import load_model

GRID = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial", "images": False}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("unseen") / "unseen", n=5, seed=7)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A study of one configuration with two seeds."""
    out = tmp_path_factory.mktemp("studies") / "s"
    with empty_reports():
        return segstudy.run(dataset, out=out, seeds=2, **TINY, **GRID).path


@pytest.fixture
def study(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "s"))


def part(study, name):
    return json.loads((study / "split.json").read_text())["splits"][0][name]


def with_copy(unseen, dataset, sample_id, folder, change=lambda image: image):
    """The unseen set and one image of the study's under another name."""
    shutil.copytree(unseen, folder)
    change(Image.open(dataset / "images" / f"{sample_id}.png")).save(folder / "images" / "copy.png")
    change(Image.open(dataset / "masks" / f"{sample_id}.png")).convert("1").save(
        folder / "masks" / "copy.png"
    )
    return folder


def test_the_scores_are_those_of_the_stored_weights_on_the_prepared_image(study, unseen):
    record = segstudy.evaluate(study, unseen)
    rows = StudyFolder(study).external_images(record["name"])
    assert rows.height == 2 * 5
    for key in record["keys"]:
        model, _ = load_model(study / "runs" / key)
        seed = json.loads((study / "runs" / key / "run.json").read_text())["seed"]
        image = read_image(unseen / "images" / "disc02.png")
        small = image_to_network(image, (32, 32), "squash").transpose(2, 0, 1)[None] / np.float32(255)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16(study, key)):
            prob = model(torch.from_numpy(small)).float().sigmoid()[0, 0].numpy()
        mask = np.asarray(Image.open(unseen / "masks" / "disc02.png")) > 0
        predicted = prob_to_native(prob, mask.shape, "squash") >= 0.5
        found = rows.filter((pl.col("seed") == seed) & (pl.col("id") == "disc02"))
        assert found["native_iou"][0] == pytest.approx(iou(confusion(predicted, mask)), abs=0.005)


def bfloat16(study, key):
    return json.loads((study / "runs" / key / "run.json").read_text())["protocol"]["precision"] == "bfloat16"


def test_the_record_has_both_test_sets_side_by_side(study, unseen):
    record = segstudy.evaluate(study, unseen)
    folder = StudyFolder(study)
    assert record["name"] == "unet-bce-b4-on-unseen"
    (stored,) = folder.externals()
    assert stored.model_dump() == json.loads((study / f"external/{record['name']}/record.json").read_text())
    own = folder.images(sorted(folder.finished())).filter(pl.col("part") == "test")
    assert record["in_domain"]["scores"]["dice"]["mean"] == pytest.approx(own["native_dice"].mean())
    new = folder.external_images(record["name"])
    assert record["scores"]["test"]["dice"]["mean"] == pytest.approx(new["native_dice"].mean())
    assert (record["num_images"], record["in_domain"]["num_images"]) == (5, 3)
    assert record["seeds"] == [0, 1]
    assert {"native_ece", "native_hd95_px", "network_iou"} <= {
        c for c in new.columns if not new[c].null_count()
    }
    text = evaluation_text(record)
    assert "in domain: set test" in text
    assert "external: unseen" in text
    assert "over images and runs." in text


def test_nothing_in_the_record_says_where_things_lie(study, unseen, tmp_path):
    segstudy.evaluate(study, unseen)
    for file in (study / "external").rglob("*.json"):
        assert str(tmp_path) not in file.read_text()
        assert str(unseen.parent) not in file.read_text()


def test_a_runs_folder_is_one_training(study, unseen):
    key = sorted(StudyFolder(study).finished())[0]
    record = segstudy.evaluate(study / "runs" / key, unseen)
    seed = json.loads((study / "runs" / key / "run.json").read_text())["seed"]
    assert record["name"] == f"unet-bce-b4-seed{seed}-on-unseen"
    assert record["keys"] == [key]
    assert "training noise not measured" in evaluation_text(record)


@pytest.mark.slow
def test_the_models_of_all_folds_are_tested_and_averaged(dataset, unseen, tmp_path):
    study = segstudy.run(dataset, out=tmp_path / "f", folds=3, **TINY, **GRID).path
    record = segstudy.evaluate(study, unseen)
    rows = StudyFolder(study).external_images(record["name"])
    assert sorted(rows["fold"].unique()) == [0, 1, 2]
    assert rows.height == 3 * 5
    assert record["seeds"] == [0]
    assert record["in_domain"]["num_images"] == 12
    assert record["scores"]["test"]["iou"]["mean"] == pytest.approx(rows["native_iou"].mean())


def test_another_study_may_take_the_result(study, trained, unseen, tmp_path):
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    segstudy.evaluate(study, unseen, other, name="theirs")
    assert [record.name for record in StudyFolder(other).externals()] == ["theirs"]
    assert not (study / "external").exists()


def test_the_data_of_the_study_itself_are_refused(study, dataset, tmp_path):
    with pytest.raises(UserError, match="itself; `segstudy table"):
        segstudy.evaluate(study, shutil.copytree(dataset, tmp_path / "moved"))


@pytest.mark.parametrize("seen_as", ["train", "validation"])
def test_an_image_that_was_trained_or_selected_on_is_refused_under_any_name(
    study, dataset, unseen, tmp_path, seen_as
):
    sample_id = part(study, seen_as)[0]
    mixed = with_copy(unseen, dataset, sample_id, tmp_path / "mixed")
    with pytest.raises(UserError, match=rf"1 of the images .*copy \({sample_id}\).*--exclude"):
        segstudy.evaluate(study, mixed)
    assert not (study / "external").exists()
    (tmp_path / "out.txt").write_text("copy\n")
    assert segstudy.evaluate(study, mixed, exclude=tmp_path / "out.txt")["num_images"] == 5


def test_every_image_that_was_seen_is_listed(study, dataset, unseen, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(unseen, mixed)
    seen = [*part(study, "train"), *part(study, "validation")]
    for sample_id in seen:
        for kind in ("images", "masks"):
            shutil.copy(dataset / kind / f"{sample_id}.png", mixed / kind / f"copy-{sample_id}.png")
    with pytest.raises(UserError, match=rf"{len(seen)} of the images were used for training") as raised:
        segstudy.evaluate(study, mixed)
    assert len(seen) > 5
    assert all(f"copy-{sample_id} ({sample_id})" in str(raised.value) for sample_id in seen)


def test_a_scaled_copy_of_a_training_image_is_refused_too(study, dataset, unseen, tmp_path):
    def larger(image):
        return image.resize(
            (96, 88), Image.Resampling.BICUBIC if image.mode == "RGB" else Image.Resampling.NEAREST
        )

    mixed = with_copy(unseen, dataset, part(study, "train")[0], tmp_path / "mixed", larger)
    with pytest.raises(UserError, match="used for training or selection"):
        segstudy.evaluate(study, mixed)


@pytest.mark.parametrize("turn", [*Image.Transpose])
def test_a_mirrored_or_turned_copy_of_a_training_image_is_refused_too(study, dataset, unseen, tmp_path, turn):
    sample_id = part(study, "train")[0]
    mixed = with_copy(unseen, dataset, sample_id, tmp_path / "mixed", lambda image: image.transpose(turn))
    with pytest.raises(UserError, match=rf"1 of the images .*copy \({sample_id}\).*--exclude"):
        segstudy.evaluate(study, mixed)


def test_an_image_of_the_studys_own_test_part_is_no_leak(study, dataset, unseen, tmp_path):
    mixed = with_copy(unseen, dataset, part(study, "test")[0], tmp_path / "mixed")
    assert segstudy.evaluate(study, mixed)["num_images"] == 6


def test_a_study_that_no_longer_knows_its_training_images_is_refused(study, unseen):
    run = study / "runs" / sorted(StudyFolder(study).finished())[0]
    thumbnails = pl.read_parquet(study / "thumbnails.parquet")
    thumbnails.filter(pl.col("id") != part(study, "train")[0]).write_parquet(study / "thumbnails.parquet")
    with pytest.raises(UserError, match="no longer says which images"):
        segstudy.evaluate(run, unseen)
    (study / "thumbnails.parquet").unlink()
    with pytest.raises(UserError, match="no longer says which images"):
        segstudy.evaluate(run, unseen)
    thumbnails.write_parquet(study / "thumbnails.parquet")
    StudyFolder(study).write_json("split.json", {"splits": []})
    with pytest.raises(UserError, match="no longer says which images"):
        segstudy.evaluate(run, unseen)


def test_wrong_data_are_refused(study, unseen, tmp_path):
    bad = Path(shutil.copytree(unseen, tmp_path / "bad"))
    (bad / "images" / "disc01.png").write_bytes((bad / "images" / "disc01.png").read_bytes()[:200])
    with pytest.raises(UserError, match="disc01"):
        segstudy.evaluate(study, bad)
    (tmp_path / "out.txt").write_text("disc99\n")
    with pytest.raises(UserError, match="no sample 'disc99'"):
        segstudy.evaluate(study, bad, exclude=tmp_path / "out.txt")


def test_what_is_no_model_is_refused(study, unseen, tmp_path):
    with pytest.raises(UserError, match="neither a study's folder nor that of a finished run"):
        segstudy.evaluate(unseen, unseen)
    key = sorted(StudyFolder(study).finished())[0]
    with pytest.raises(UserError, match="outside of its study"):
        segstudy.evaluate(shutil.copytree(study / "runs" / key, tmp_path / "alone"), unseen)
    shutil.rmtree(study / "runs" / key)
    with pytest.raises(UserError, match="no configuration is complete"):
        segstudy.evaluate(study, unseen)


def test_an_evaluation_never_replaces_masks(study, unseen, dataset, tmp_path):
    masks = shutil.copytree(dataset / "masks", tmp_path / "tool")
    segstudy.score(dataset, masks, study)
    with pytest.raises(UserError, match="the name tool is used for something else"):
        segstudy.evaluate(study, unseen, name="tool")


def test_the_command_prints_the_table(study, unseen, capsys):
    assert app(["evaluate", str(study), str(unseen)], result_action="return_value") == 0
    assert "HD95 over the diagonal" in capsys.readouterr().out


def test_each_remedy_for_masks_of_several_classes_is_one_that_evaluate_takes(study, unseen, tmp_path):
    """The classes of a model are its own: `--classes` is none."""
    other = shutil.copytree(unseen, tmp_path / "classes")
    for file in sorted((other / "masks").iterdir()):
        mask = np.asarray(Image.open(file).convert("L")) // 255
        mask[:4] = 2
        Image.fromarray(mask).save(file)
    with pytest.raises(UserError, match="hold several classes, with the values 0, 1, 2") as refused:
        segstudy.evaluate(study, other)
    said = str(refused.value)
    assert "--classes" not in said
    assert "--foreground 1" in said
    assert "--masks background=0" in said
    assert segstudy.evaluate(study, other, foreground=1, name="one")["num_images"] == 5
    assert segstudy.evaluate(study, other, masks="background=0", name="all")["num_images"] == 5


def test_folders_of_classes_are_refused_with_what_a_model_of_one_foreground_takes(study, unseen, tmp_path):
    other = shutil.copytree(unseen, tmp_path / "folders")
    for file in sorted((other / "masks").iterdir()):
        for name in ("disc", "cup"):
            (other / "masks" / name).mkdir(exist_ok=True)
            shutil.copy(file, other / "masks" / name / file.name)
        file.unlink()
    with pytest.raises(UserError, match="put the masks of that alone into masks/") as refused:
        segstudy.evaluate(study, other)
    assert "--classes" not in str(refused.value)
    for file in sorted((other / "masks/disc").iterdir()):
        file.rename(other / "masks" / file.name)
    shutil.rmtree(other / "masks/cup")
    (other / "masks/disc").rmdir()
    assert segstudy.evaluate(study, other)["num_images"] == 5
