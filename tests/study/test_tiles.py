"""Studies whose images are not resized: what is prepared, and what is said before they begin."""

from pathlib import Path

import polars as pl
import pytest
from small import write_dataset

from segstudy.config.study import override, preset_study
from segstudy.data.prepared import open_prepared
from segstudy.data.tiled import Tiled
from segstudy.store.folder import StudyFolder
from segstudy.study.execution import jobs_of
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
FIELDS = {
    "image_size": [32],
    "width": [2],
    "epochs": [3],
    "architecture": ["unet"],
    "loss": ["bce"],
    "batch_size": [4],
}


def planned(folder: Path, resize: str, **fields):
    return make_plan(
        override(preset_study("classic", "t", str(folder)), FIELDS | {"resize": [resize]} | fields), SERIAL
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
    for one, other in zip(*tables.values(), strict=True):  # of whole images, so the same
        assert one.equals(other)


def test_tiles_of_several_sizes_share_their_chunks(dataset, tmp_path) -> None:
    plan = planned(dataset, "tiles", image_size=[32, 64], overlap=[0, 8])
    jobs = jobs_of(plan, plan.runs, stored(plan, tmp_path / "study"), SERIAL)
    assert len(jobs) == 4
    assert len({job.prepared for job in jobs}) == 1
