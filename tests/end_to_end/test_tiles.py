"""Studies whose images are not resized, from their folders to what is done with their runs."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from empty_reports import empty_reports
from small import CLASSES, write_channels, write_classes, write_dataset

import segstudy
from segstudy.core.outputs import BINARY
from segstudy.core.windowing import default_overlap
from segstudy.data.masks import read_mask
from segstudy.data.native_probabilities import NativeProbabilities
from segstudy.metrics.counts import confusion
from segstudy.metrics.overlap import iou
from segstudy.store.card import read_card
from segstudy.store.folder import StudyFolder
from segstudy.store.probability_maps import probability_map
from segstudy.training import worker

TILE_PX = 32
USUAL = {
    **{"resize": "tiles", "image_size": TILE_PX, "width": 2, "epochs": 1, "batch_size": 4},
    **{"architecture": "unet", "loss": "bce", "executor": "serial", "fields": {"record_test": False}},
}


def trained(data: Path, out: Path, **fields) -> Path:
    with empty_reports():
        return segstudy.run(data, out=out, **USUAL | fields).path


def run_of(study: Path) -> Path:
    (key,) = StudyFolder(study).finished()
    return StudyFolder(study).runs / key


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the data and a study of them; no test changes these."""
    place = tmp_path_factory.mktemp("tiles")
    write_dataset(place / "discs", 12)
    trained(place / "discs", place / "study")
    return place


def test_the_run_is_found_by_table_verify_and_status(place):
    assert segstudy.verify(place / "study").faults == ()
    assert "unet-bce-b4" in segstudy.table(place / "study")
    assert "1 of 1" in segstudy.table(place / "study")
    card = read_card(run_of(place / "study") / "model.json")
    assert card.windowing is not None
    assert (card.image_size, card.overlap) == ((TILE_PX, TILE_PX), default_overlap((TILE_PX, TILE_PX)))


def test_stored_probabilities_give_the_stored_scores(place):
    run = run_of(place / "study")
    ious = pl.read_parquet(run / "images.parquet").select("id", "native_iou")
    for sample_id, png, stored in (
        pl.read_parquet(run / "predictions.parquet").join(ious, on="id").select("id", "prob", "native_iou")
    ).iter_rows():
        truth = read_mask(place / "discs" / "masks" / f"{sample_id}.png")
        prob = NativeProbabilities(probability_map(png, BINARY), truth.shape, "tiles", BINARY)
        assert iou(confusion(prob.decided(), truth)) == pytest.approx(stored, abs=0.02)  # 256 steps


def test_other_data_are_scored_in_the_same_windows(place, tmp_path):
    study = Path(shutil.copytree(place / "study", tmp_path / "study"))
    other = write_dataset(tmp_path / "other", 4, seed=1)
    found = segstudy.evaluate(study, other)
    rows = pl.read_parquet(study / "external" / found["name"] / "images.parquet")
    assert rows.height == 4
    assert rows["network_iou"].to_list() == rows["native_iou"].to_list()


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels(tmp_path, channels):
    data = write_channels(tmp_path / "data", channels)
    study = trained(data, tmp_path / "study", channels=channels)
    card = read_card(run_of(study) / "model.json")
    assert (card.channels, card.resize) == (channels, "tiles")
    (image, *_) = sorted((data / "images").iterdir())
    (row,) = segstudy.predict(study, image, tmp_path / "out", engine="torch")
    assert (tmp_path / "out" / "masks" / f"{image.stem}.png").exists(), row


@pytest.mark.slow
def test_a_run_that_is_interrupted_continues_to_the_same_bytes(tmp_path, monkeypatch):
    data = write_classes(tmp_path / "set", void=True)
    fields = {"classes": CLASSES, "ignore": 255, "epochs": 3, "augmentation": "full", "checkpoint_every": 1}
    whole = trained(data, tmp_path / "whole", **fields)
    real, seen = worker.epochs, []

    def interrupted(training):
        for row in real(training):
            yield row
            seen.append(row["epoch"])
            if seen == [1, 2]:
                raise KeyboardInterrupt

    monkeypatch.setattr(worker, "epochs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(data, tmp_path / "parts", **fields)
    parts = trained(data, tmp_path / "parts", **fields)
    assert seen == [1, 2, 3]
    first, second = run_of(whole), run_of(parts)
    assert first.name == second.name
    for file in sorted(first.iterdir()):
        if file.name != "run.json":
            assert file.read_bytes() == (second / file.name).read_bytes(), file.name
    record = json.loads((second / "run.json").read_text())
    assert record["description"]["resize"] == "tiles"
