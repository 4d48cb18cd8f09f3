"""The rule of a study's masks: found once, written down, in the key where it changes the masks."""

import json

import numpy as np
import pytest
from PIL import Image
from small import write_dataset

from segstudy.config.study import override, preset_study
from segstudy.core.errors import UserError
from segstudy.store.folder import StudyFolder
from segstudy.study.machine import Machine
from segstudy.study.plan import make_plan, write_plan

SERIAL = Machine("cpu", threads=1, workers=1, executor="serial")
TINY = {"image_size": [32], "width": [2], "epochs": [1], "architecture": ["unet"], "loss": ["bce"]}


def rewritten(folder, change):
    """The data set with every mask changed."""
    for i, file in enumerate(sorted((folder / "masks").iterdir())):
        mask = np.asarray(Image.open(file)) > 0
        Image.fromarray(change(mask, i).astype(np.uint8)).save(file)
    return folder


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("usual") / "set", n=12)


@pytest.fixture(scope="module")
def from_one(tmp_path_factory):
    """1 is background and 2 is foreground; two masks hold no object."""
    folder = write_dataset(tmp_path_factory.mktemp("from_one") / "set", n=12)
    return rewritten(folder, lambda mask, i: 1 + (mask & (i > 1)))


def planned(data, stored=None, **fields):
    study = override(preset_study("classic", "tiny", str(data)), {**TINY, **fields})
    return make_plan(study, SERIAL, stored)


def test_the_usual_rule_is_written_down_and_changes_no_key(usual, tmp_path):
    plan = planned(usual)
    assert plan.study.protocol.masks == "larger"
    assert "masks" not in plan.runs[0].description()
    assert [run.key for run in plan.runs] == [run.key for run in planned(usual, masks=["larger"]).runs]
    folder = StudyFolder(tmp_path / "s")
    write_plan(plan, folder)
    assert 'masks = "larger"' in (folder.path / "study.toml").read_text()
    assert folder.study().protocol.masks == "larger"


def test_another_rule_is_found_written_down_and_in_the_key(from_one, tmp_path):
    plan = planned(from_one)
    assert plan.study.protocol.masks == "background=1"
    assert plan.runs[0].description()["masks"] == "background=1"
    forced = planned(from_one, masks=["larger"])
    assert forced.runs[0].key != plan.runs[0].key
    assert "rule of masks in doubt" in {problem.kind for problem in forced.findings.problems}
    folder = StudyFolder(tmp_path / "s")
    write_plan(plan, folder)
    stored = json.loads((folder.path / "data.json").read_text())
    assert stored["masks"] == "background=1"
    assert "1 is background" in stored["masks_because"]


def test_findings_are_kept_for_the_rule_they_were_made_with(from_one, tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path / "s")
    write_plan(planned(from_one), folder)
    with monkeypatch.context() as patch:
        patch.setattr("segstudy.study.findings.examine", lambda *_: pytest.fail("examined a second time"))
        assert planned(from_one, folder.data()).study.protocol.masks == "background=1"
        planned(from_one, folder.data(), masks=["background=1"])
    other = planned(from_one, folder.data(), masks=["larger"])
    assert other.findings.masks.is_given


def test_rules_may_be_a_factor(usual):
    plan = planned(usual, masks=["auto", "cut=200"])
    assert {c.protocol.masks for c in plan.study.configurations()} == {"larger", "cut=200"}
    assert len({run.key for run in plan.runs}) == 2 * len(planned(usual).runs)


def test_an_unknown_rule_is_refused_with_the_rules_there_are(usual):
    with pytest.raises(UserError, match=r"masks.*background=V"):
        planned(usual, masks=["darker"])


def test_several_classes_are_refused_before_anything_is_trained(tmp_path):
    folder = write_dataset(tmp_path / "set", n=6)
    rewritten(folder, lambda mask, i: mask * (i % 2 + 1))
    with pytest.raises(UserError, match="--classes background=0,class1=1,class2=2; `segstudy check`"):
        planned(folder)
    assert planned(folder, masks=["background=0"]).study.protocol.masks == "background=0"
