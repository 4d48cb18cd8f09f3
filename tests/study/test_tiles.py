"""Studies whose images are not resized: what is prepared, and what is said before they begin."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from small import SIZES, write_dataset

import segstudy
from segstudy.analysis.run_matching import is_told_by_files, planned_of
from segstudy.config.study import override, preset_study
from segstudy.core.outputs import BINARY
from segstudy.data.prepared import open_prepared
from segstudy.data.thumbnails import read_small_mask
from segstudy.data.tiled import Tiled
from segstudy.store.folder import StudyFolder
from segstudy.study import estimate as module
from segstudy.study.estimate import estimate
from segstudy.study.execution import jobs_of
from segstudy.study.machine import Machine
from segstudy.study.network_inputs import inputs_of
from segstudy.study.plan import make_plan, write_plan
from segstudy.study.trackers.terminal import Display

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
FIELDS = {
    "image_size": [32],
    "width": [2],
    "epochs": [3],
    "architecture": ["unet"],
    "loss": ["bce"],
    "batch_size": [4],
}


def planned(folder: Path, *resize: str, **fields):
    return make_plan(
        override(preset_study("classic", "t", str(folder)), FIELDS | {"resize": list(resize)} | fields),
        SERIAL,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=12)


def stored(plan, folder: Path) -> StudyFolder:
    study = StudyFolder(folder)
    write_plan(plan, study)
    return study


def test_runs_get_images_in_chunks_and_the_report_whole_ones(dataset, tmp_path) -> None:
    tables = {}
    for resize in ("tiles", "squash"):
        plan = planned(dataset, resize)
        study = stored(plan, tmp_path / resize)
        stages: list[str] = []
        (job,) = jobs_of(plan, plan.runs, study, SERIAL, lambda text, *_, into=stages: into.append(text))
        opened = open_prepared(job.prepared, plan.runs[0].configuration.protocol.windowing())
        assert isinstance(opened, Tiled) == (resize == "tiles")
        assert ("cutting the images into chunks" in stages) == (resize == "tiles")
        tables[resize] = [
            pl.read_parquet(study.path / f"{each}.parquet") for each in ("baselines", "thumbnails")
        ]
    (baselines, _), (others, _) = tables.values()
    assert baselines.equals(others)  # of whole images, so the same


def test_small_images_show_more_than_a_tile_has_pixels(tmp_path) -> None:
    dataset = tmp_path / "set"
    for name in ("images", "masks"):
        (dataset / name).mkdir(parents=True)
        for i in range(12):  # lines of one pixel, every third: nothing of them is left at 32 px
            lines = np.tile(255 * (np.arange(192) % 3 == i % 3), (192, 1)).astype(np.uint8)
            Image.fromarray(lines).convert("RGB" if name == "images" else "L").save(
                dataset / name / f"{i}.png"
            )
    plan = planned(dataset, "tiles")
    study = stored(plan, tmp_path / "study")
    jobs_of(plan, plan.runs, study, SERIAL)
    for png in pl.read_parquet(study.path / "thumbnails.parquet")["mask"]:
        assert read_small_mask(png, BINARY).mean() == pytest.approx(1 / 3)


def test_tiles_of_several_sizes_share_their_chunks(dataset, tmp_path) -> None:
    plan = planned(dataset, "tiles", image_size=[32, 64], overlap=[0, 8])
    jobs = jobs_of(plan, plan.runs, stored(plan, tmp_path / "study"), SERIAL)
    assert len(jobs) == 4
    assert len({job.prepared for job in jobs}) == 1


def test_an_epoch_has_as_many_tiles_as_cover_the_training_images(dataset) -> None:
    plan = planned(dataset, "tiles")
    (run,) = plan.runs
    assert {plan.native_sizes[f"disc{i:02}"] for i in range(12)} == set(SIZES)
    inputs = inputs_of(run.configuration.protocol, plan.split_of(run), plan.native_sizes)
    # Every image of 40 to 48 px has 2 x 2 tiles of 32 px; windows share 8 px, so 2 x 2 of them cover it too.
    assert inputs == (4 * 6, 4 * 3, 4 * 3)
    (text,) = plan.overview().tiles
    assert text == (
        "tiles of 32 x 32 px: an epoch has 24 tiles of 6 training images; validation has 12 windows and test "
        "12, which overlap by 8 px or more"
    )
    squashed = planned(dataset, "squash")
    assert squashed.native_sizes == {}
    assert squashed.overview().tiles == ()


def test_the_forecast_counts_tiles(dataset, monkeypatch) -> None:
    monkeypatch.setattr(module, "timed_step", lambda *_: module.Step(1.0, 1000, 1000))
    tiles, squash = (planned(dataset, resize) for resize in ("tiles", "squash"))
    seconds = {}
    for plan in (tiles, squash):
        found = estimate(plan, plan.runs, SERIAL)
        (seconds[plan.runs[0].configuration.protocol.resize],) = found.forecast.runs.values()
    fixed = 3 * module.EPOCH_S + module.RUN_S
    assert seconds["tiles"].seconds - fixed == pytest.approx(4 * (seconds["squash"].seconds - fixed))
    assert estimate(tiles, tiles.runs, SERIAL).worker_bytes == module.PROCESS_BYTES + 1000 + 44 * 44 * 34


def test_epochs_of_a_budget_of_steps_are_counted_by_tiles(dataset, monkeypatch) -> None:
    monkeypatch.setattr(module, "timed_step", lambda *_: module.Step(1.0, 1000, 1000))
    plan = planned(dataset, "tiles", budget=["steps"], steps=[12])
    (run,) = estimate(plan, plan.runs, SERIAL).forecast.runs.values()
    assert run.num_epochs == 2  # 24 tiles are 6 batches


def test_the_terminal_says_it(dataset, capsys) -> None:
    Display().plan(planned(dataset, "tiles").overview(), 1)
    assert "an epoch has 24 tiles of 6 training images" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("resize", "fields"),
    [
        (["squash", "tiles"], {"overlap": [0]}),
        (["tiles"], {"augmentation": ["none", "full"], "precision": ["float32", "bfloat16"]}),
    ],
)
def test_the_folder_names_the_keys_of_its_runs(dataset, tmp_path, resize, fields) -> None:
    plan = planned(dataset, *resize, **fields)
    study = stored(plan, tmp_path / "study")
    found = [key for each in planned_of(study, study.study(), []) for key in each.keys]
    assert found == [run.key for run in plan.runs]
    assert is_told_by_files(study)


def test_merged_studies_name_them_too(dataset, tmp_path) -> None:
    plans = [planned(dataset, resize) for resize in ("squash", "tiles")]
    for plan in plans:
        stored(plan, tmp_path / plan.runs[0].configuration.protocol.resize)
    segstudy.merge(tmp_path / "squash", tmp_path / "tiles", out=tmp_path / "merged")
    merged = StudyFolder(tmp_path / "merged")
    keys = {key for each in planned_of(merged, merged.study(), []) for key in each.keys}
    assert keys == {run.key for plan in plans for run in plan.runs}
