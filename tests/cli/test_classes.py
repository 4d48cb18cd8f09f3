"""Several classes in a call: how they are spelled, what is refused, and what a study keeps of them."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from small import CLASSES, write_classes, write_dataset

import segstudy
from segstudy.cli.options import study_arguments
from segstudy.config.check_command import check_command
from segstudy.config.protocol import Protocol
from segstudy.config.study import override, preset_study
from segstudy.core.errors import UserError
from segstudy.data.datasets import read
from segstudy.store.folder import StudyFolder
from segstudy.study.choices import command
from segstudy.study.machine import Machine
from segstudy.study.options import described, meaning_of
from segstudy.study.plan import make_plan, write_plan
from segstudy.study.trackers.terminal import Display

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
TINY = {"image_size": [32], "width": [2], "epochs": [1], "architecture": ["unet"], "loss": ["bce"]}


# Spelling


@pytest.mark.parametrize(
    "given",
    [
        CLASSES,
        "background=0, disc=1, cup=2",
        ["background=0", "disc=1", "cup=2"],
        {"background": 0, "disc": 1, "cup": 2},
        {"background": [0], "disc": (1,), "cup": "2"},
    ],
)
def test_classes_in_every_spelling(given: object, tmp_path: Path) -> None:
    assert described(tmp_path, {"classes": given})[0].protocol.classes == CLASSES
    assert ",".join(map(str, meaning_of(classes=given).classes)) == CLASSES


def test_commas_in_classes_and_ignored_values_are_no_levels() -> None:
    arguments = study_arguments({"classes": CLASSES, "ignore": "254,255"}, ["lr=1e-2,1e-3"])
    assert arguments["classes"] == CLASSES
    assert described(None, arguments)[0].protocol.ignore == (254, 255)
    assert study_arguments({}, [f"classes={CLASSES}"])["fields"] == {"classes": [CLASSES]}
    assert described(None, study_arguments({}, [f"classes={CLASSES}"]))[0].protocol.classes == CLASSES


@pytest.mark.parametrize("given", [255, "255", [255], ["255"], (255,)])
def test_one_ignored_value_in_every_spelling(given: object) -> None:
    assert described(None, {"ignore": given})[0].protocol.ignore == (255,)
    assert meaning_of(ignore=given).ignore == (255,)


def test_a_list_of_class_weights_is_one_value() -> None:
    fields = {"classes": CLASSES, "class_weights": [1, 2, 5]}
    assert described(None, fields)[0].protocol.class_weights == "1+2+5"


def test_a_study_file_may_hold_classes_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        'data = "synthetic"\n[protocol]\nignore = [255]\n[protocol.classes]\nbackground = 0\nrim = [1, 3]\n'
    )
    study, _ = described(tmp_path / "study.toml", {})
    assert study.protocol.classes == "background=0,rim=1+3"
    assert study.protocol.ignore == (255,)


# Refusals


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": CLASSES, "foreground": 1}, "classes and foreground exclude each other"),
        ({"classes": CLASSES, "masks": "background=0"}, "masks=background=0 and classes exclude each other"),
        ({"classes": CLASSES, "ignore": 2}, "both name the mask value 2"),
        ({"classes": "disc=0,cup=1", "resize": "pad"}, "resize=pad needs a class background"),
        ({"classes": "disc"}, "classes must be two or more"),
        ({"ignore": "x"}, "ignore must be one class value"),
    ],
)
def test_options_that_exclude_each_other_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        described(None, fields)


def test_padding_fits_classes_with_a_background_and_those_that_overlap() -> None:
    for classes in (CLASSES, "disc,cup"):
        assert Protocol(classes=classes, resize="pad").resize == "pad"


def test_check_prints_the_line_that_run_takes(tmp_path: Path, call) -> None:
    write_classes(tmp_path / "eyes", n=8, void=True)
    code, out, _ = call("check", tmp_path / "eyes")
    assert code == 2
    assert out.count("hold several classes") == 1
    (line,) = re.findall("with (--classes .* --ignore [0-9]+)", out)
    options = line.split()
    assert options == ["--classes", "background=0,class1=1,class2=2", "--ignore", "255"]
    code, out, _ = call("check", tmp_path / "eyes", *options)
    assert code == 0
    assert "no problems in 8 samples" in out
    code, _, err = call("plan", tmp_path / "eyes")
    assert code == 2
    assert "--classes background=0,class1=1,class2=2 --ignore 255" in err
    assert "`segstudy check` names the other choices" in err
    assert len(err.splitlines()[-1]) < 300
    assert segstudy.check(tmp_path / "eyes", classes=CLASSES, ignore=255) == []


# What a study keeps


def planned(data: Path, **fields: object):
    return make_plan(override(preset_study("classic", "tiny", str(data)), {**TINY, **fields}), SERIAL)


def test_a_study_keeps_its_classes_and_its_findings_hold_for_them_alone(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "eyes", void=True)
    plan = planned(data, classes=[CLASSES], ignore=[(255,)])
    words = f"segstudy check {data} --classes {CLASSES} --ignore 255"
    assert check_command(plan.study) == words
    assert plan.findings.problems == ()
    assert plan.empty_subsets(plan.runs) == []
    folder = StudyFolder(tmp_path / "s")
    write_plan(plan, folder)
    assert folder.study().protocol.classes == CLASSES
    assert folder.study().protocol.ignore == (255,)
    stored = json.loads((folder.path / "data.json").read_text())
    assert stored["classes"] == ["background=0", "disc=1", "cup=2"]
    assert stored["ignore"] == [255]
    assert stored["best_iou"][0]["classes"].keys() == {"disc", "cup"}
    other = planned(data, classes=["background=0+1,cup=2"], ignore=[(255,)])
    assert other.runs[0].key != plan.runs[0].key


def test_a_binary_study_writes_nothing_of_classes(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "s")
    write_plan(planned(write_dataset(tmp_path / "discs")), folder)
    assert "classes" not in (folder.path / "data.json").read_text()
    assert "classes" not in (folder.path / "study.toml").read_text()


def test_a_class_that_training_lacks_is_said(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "eyes")
    parts = ["train" if i in (0, 4, 8) else "val" if i < 6 else "test" for i in range(12)]
    rows = [f"eye{i:02},{part}" for i, part in enumerate(parts)]
    (data / "metadata.csv").write_text("\n".join(["id,part", *rows]))
    plan = planned(data, classes=[CLASSES])
    assert plan.findings.warnings == ("class nowhere",)
    (said,) = plan.empty_subsets(plan.runs)
    assert said == "none of the 3 masks in train holds the class cup"
    merged = planned(data, classes=["background=0,eye=1+2"])
    assert merged.empty_subsets(merged.runs) == []


def test_classes_that_validation_or_test_lacks_are_said_before_training(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "eyes")  # every fourth has no cup
    lacking = {"eye00", "eye04", "eye08"}
    splits = {seed: planned(data, classes=[CLASSES], split_seed=[seed]) for seed in range(8)}
    said = {seed: each.overview().unscored for seed, each in splits.items()}
    for seed, each in splits.items():
        split = each.split_of(each.runs[0])
        lacks = [part for part in ("validation", "test") if lacking.issuperset(split.part(part))]
        assert said[seed] == tuple(f"no {part} mask holds the class cup" for part in lacks)
    parts = ["test" if i in (0, 4, 8) else "val" if i < 6 else "train" for i in range(12)]
    rows = [f"eye{i:02},{part}" for i, part in enumerate(parts)]
    (data / "metadata.csv").write_text("\n".join(["id,part", *rows]))
    plan = planned(data, classes=[CLASSES])
    assert plan.overview().unscored == ("no test mask holds the class cup",)
    stream = StringIO()
    nine = plan.overview().model_copy(
        update={"unscored": tuple(f"no test mask holds the class c{i}" for i in range(9))}
    )
    Display(Console(file=stream, width=300)).plan(nine, 1)
    assert "class c3 (and 5 more): nothing will be known of it there; --set split_seed=N" in stream.getvalue()
    assert "class c4" not in stream.getvalue()


@pytest.mark.parametrize(
    ("classes", "is_said"),
    [("back=0,disc=1,cup=2", True), (CLASSES, False), ("Background=0,eye=1+2", False), (None, False)],
)
def test_that_no_class_is_the_background_is_said_before_training(
    tmp_path: Path, classes: str | None, is_said: bool
) -> None:
    fields = {"foreground": ["1"]} if classes is None else {"classes": [classes]}
    plan = planned(write_classes(tmp_path / "eyes"), **fields)
    stream = StringIO()
    Display(Console(file=stream, width=300)).plan(plan.overview(), 1)
    assert ("none is called background, so all count in the scores" in stream.getvalue()) == is_said


def test_a_command_of_a_choice_spells_classes() -> None:
    given = {"classes": {"background": 0, "disc": [1, 2]}, "ignore": (254, 255)}
    assert command("eyes", given) == "segstudy run eyes --classes background=0,disc=1+2 --ignore 254+255"


# Classes that may overlap


def test_names_of_a_folder_are_the_names_of_classes_that_overlap(tmp_path: Path, call) -> None:
    data = write_classes(tmp_path / "eyes", overlapping=True)
    code, _, err = call("plan", data, "--protocol", "quick")
    assert code == 2
    assert "--classes cup,disc" in err
    plan = planned(data, classes=["disc,cup"])
    assert plan.study.protocol.outputs().task == "multilabel"
    assert len(read(data).samples) == 12
