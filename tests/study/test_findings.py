"""What a study says of its data: kinds and numbers of warnings, subsets without foreground, the best IoU."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from fake_data import save
from rich.console import Console
from small import CLASSES, write_classes, write_dataset

from segstudy.config.check_command import check_command
from segstudy.config.study import Study, override, preset_study
from segstudy.core.errors import UserError
from segstudy.data.split import Split
from segstudy.store.folder import StudyFolder
from segstudy.study.findings import refuse_empty
from segstudy.study.machine import Machine
from segstudy.study.plan import Plan, make_plan, missing_runs, write_plan
from segstudy.study.run import planned
from segstudy.study.trackers.terminal import Display

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
TINY = {"image_size": [32], "width": [2], "epochs": [1], "architecture": ["unet"], "loss": ["bce"]}


def tiny(data: Path, **fields: object) -> Study:
    return override(preset_study("classic", "tiny", str(data)), {**TINY, "batch_size": [4], **fields})


def emptied(data: Path, ids: tuple[str, ...]) -> Path:
    for sample_id in ids:
        file = data / "masks" / f"{sample_id}.png"
        save(file, np.zeros((48, 64), bool) if not file.exists() else np.zeros(size_of(file), bool))
    return data


def size_of(file: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(file) as image:
        return image.height, image.width


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set", n=12)


def said(plan: Plan) -> str:
    display = Display(Console(file=io.StringIO(), width=80))
    display.plan(plan.overview(), len(plan.runs))
    return display.console.file.getvalue()  # type: ignore[attr-defined]


def test_warnings_are_named_by_number_and_kind_with_the_command_that_shows_them(data: Path) -> None:
    before = said(make_plan(tiny(data), SERIAL))
    assert "warning" not in before
    assert "at 32 x 32 px the best IoU to expect is 0.9" in before
    plan = make_plan(tiny(emptied(data, ("disc01", "disc02"))), SERIAL)
    assert plan.findings.warnings == ("2 empty masks",)
    text = said(plan)
    assert "warnings: 2 empty masks\n" in text
    assert f"to see them: segstudy check {data} --html check.html\n" in text


def test_the_command_has_the_options_that_decide_what_masks_mean() -> None:
    study = tiny(Path("/my data"), foreground=[[1, 2]], masks=["background=0"], intensity=["0..4095"])
    assert check_command(study) == (
        f"segstudy check '{study.data}' --foreground 1+2 --masks background=0 --intensity 0..4095"
    )


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_subset_of_the_cut_without_any_foreground_is_refused_before_it_is_trained(
    data: Path, tmp_path: Path, part: str
) -> None:
    study, folder = tiny(data), StudyFolder(tmp_path / "s")
    (split,) = make_plan(study, SERIAL).splits.values()
    assert isinstance(split, Split)
    ids = getattr(split, part)
    planned(study, folder, {})
    emptied(data, ids[1:])
    planned(study, folder, {})  # one mask of it has a foreground
    emptied(data, ids)
    with pytest.raises(UserError, match=rf"none of the {len(ids)} masks in {part} has any foreground"):
        planned(study, folder, {})
    assert not folder.path.exists()


def test_stored_findings_know_the_empty_masks_too(data: Path, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "s")
    plan = make_plan(tiny(emptied(data, ("disc03",))), SERIAL)
    write_plan(plan, folder)
    again = make_plan(tiny(data), SERIAL, folder.data())
    assert again.findings == plan.findings
    assert list(again.findings.empty.values()) == [["disc03"]]
    stored = json.loads((folder.path / "data.json").read_text(encoding="utf-8"))
    stored["without_foreground"] = {}
    folder.write_json("data.json", stored)
    assert make_plan(tiny(data), SERIAL, folder.data()).findings == plan.findings, "altered: looked for again"


def test_nothing_is_refused_where_every_subset_has_a_foreground() -> None:
    refuse_empty([])


def test_every_image_size_of_a_study_has_its_best_iou_and_its_folder_says_it(
    data: Path, tmp_path: Path
) -> None:
    folder = StudyFolder(tmp_path / "s")
    plan = make_plan(tiny(data, image_size=[32, 48]), SERIAL)
    write_plan(plan, folder)
    record = folder.data()
    assert record is not None
    assert record.best_iou == list(plan.best_iou)
    small, large = plan.best_iou
    assert (small.image_size, large.image_size) == ([32, 32], [48, 48])
    assert 0.8 < small.mean < large.mean <= 1
    (split,) = plan.splits.values()
    assert small.num_images == len(split.test)
    assert missing_runs(plan, folder)


def test_with_folds_it_is_of_all_images(data: Path) -> None:
    (found,) = make_plan(tiny(data, folds=[3]), SERIAL).best_iou
    assert found.num_images == 12


def test_how_much_there_is_of_each_class_is_stored_and_read_again(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "set")
    study = tiny(data)
    study = study.model_copy(update={"protocol": study.protocol.model_copy(update={"classes": CLASSES})})
    plan = make_plan(study, SERIAL)
    folder = StudyFolder(tmp_path / "study")
    write_plan(plan, folder)
    stored = json.loads((folder.path / "data.json").read_text())["class_shares"]
    assert [each["name"] for each in stored] == ["background", "disc", "cup"]
    assert sum(each["pixel_frac"] for each in stored) == pytest.approx(1)
    assert [each["num_masks"] for each in stored] == [12, 12, 9]
    again = make_plan(study, SERIAL, folder.data())
    assert again.findings == plan.findings
