"""Images that only share their names are never compared; scores that are being replaced are always there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import fake_study
import numpy as np
import polars as pl
import pytest
from empty_reports import empty_reports
from PIL import Image
from small import TINY, write_dataset

import segstudy
from segstudy.core.errors import UserError
from segstudy.store.folder import StudyFolder

GRID = {"architecture": "unet", "loss": "bce", "batch_size": 4, "executor": "serial", "images": False}
NAME = "unet-bce-b8"


def two_studies(path):
    """Two made-up studies of one configuration on images of the same names, and their folders."""
    folders = [fake_study.make_study(path / name) for name in ("one", "two")]
    for folder in folders:
        fake_study.finish(folder, NAME, 0.8, 0.7)
    return folders


def described(folder, fingerprint, change=lambda sample: sample):
    """Give a study's data another fingerprint and its samples hashes, and its run on these data."""
    data = json.loads((folder.path / "data.json").read_text())
    data["samples"] = [change({**s, "image": f"i{s['id']}", "mask": f"m{s['id']}"}) for s in data["samples"]]
    folder.write_json("data.json", {**data, "fingerprint": fingerprint})
    for key in folder.finished():
        shutil.rmtree(folder.runs / key)
    fake_study.finish(folder, NAME, 0.8, 0.7, data=fingerprint)


def compare(one, two):
    return segstudy.compare(f"{one.path}:{NAME}", f"{two.path}:{NAME}")


def test_equal_data_are_compared_also_where_no_hashes_were_written_down(tmp_path):
    assert compare(*two_studies(tmp_path)).difference.mean == 0


def test_data_of_which_the_test_images_are_the_same_are_compared(tmp_path):
    one, two = two_studies(tmp_path)
    described(one, "a" * 16)
    described(
        two, "b" * 16, lambda s: s if s["id"] != "image00" else {**s, "image": "another"}
    )  # of training
    assert compare(one, two).num_images == 9


@pytest.mark.parametrize("what", ["image", "mask"])
def test_test_images_that_share_only_their_names_are_refused(tmp_path, what):
    one, two = two_studies(tmp_path)
    described(one, "a" * 16)
    described(two, "b" * 16, lambda s: s if s["id"] != "image10" else {**s, what: "another"})
    with pytest.raises(UserError, match=r"1 of 9 test images .* share only their names \(first: image10\)"):
        compare(one, two)


def test_what_nobody_wrote_down_is_not_compared(tmp_path):
    one, two = two_studies(tmp_path)
    described(one, "a" * 16)
    described(two, "b" * 16, lambda s: {n: v for n, v in s.items() if n not in ("image", "mask")})
    with pytest.raises(UserError, match="nobody wrote down what images and masks"):
        compare(one, two)


def test_groups_that_differ_are_refused(tmp_path):
    one, two = two_studies(tmp_path)
    described(one, "a" * 16)
    described(two, "b" * 16, lambda s: {**s, "group": "all" if s["id"] < "image12" else s["id"]})
    with pytest.raises(UserError, match="group their test images differently"):
        compare(one, two)


def test_older_runs_on_other_data_are_not_compared_within_a_study_either(tmp_path):
    folder = fake_study.make_study(tmp_path / "study")
    fake_study.finish(folder, NAME, 0.8, 0.7)
    fake_study.finish(folder, NAME, 0.8, 0.9, data="e" * 16)
    older = segstudy.Study(folder.path).leaderboard(show_all=True)["configuration"].to_list()
    assert f"{NAME} (older)" in older
    with pytest.raises(UserError, match="are of different data"):
        segstudy.compare(str(folder.path), NAME, f"{NAME} (older)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("real")
    write_dataset(path / "discs", n=12)
    with empty_reports():
        segstudy.run(path / "discs", out=path / "study", **TINY, **GRID)
    return path


@pytest.fixture
def place(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "real")


def test_a_data_set_of_the_same_names_is_another_for_every_command(place, tmp_path, no_report):
    """Trained on copies of which one test image is another picture: compare and score refuse."""
    shutil.copytree(place / "discs", tmp_path / "other" / "discs")
    test = json.loads((place / "study" / "split.json").read_text())["splits"][0]["test"]
    file = tmp_path / "other" / "discs" / "images" / f"{test[0]}.png"
    with Image.open(file) as picture:
        Image.fromarray(255 - np.asarray(picture)).save(file)
    other = segstudy.run(tmp_path / "other" / "discs", out=tmp_path / "other" / "study", **TINY, **GRID).path
    name = segstudy.Study(other).leaderboard()["configuration"][0]
    with pytest.raises(UserError, match=f"first: {test[0]}"):
        segstudy.compare(f"{place / 'study'}:{name}", f"{other}:{name}")
    with pytest.raises(UserError, match="other images or masks"):
        segstudy.score(tmp_path / "other" / "discs", place / "discs" / "masks", place / "study", "tool")
    stale = json.loads((place / "study" / "data.json").read_text())
    (place / "study" / "data.json").write_text(json.dumps({**stale, "fingerprint": "0" * 16}))
    write_dataset(tmp_path / "unseen", n=2, seed=7)
    (run,) = (place / "study" / "runs").iterdir()
    with pytest.raises(UserError, match="no longer says which images"):
        segstudy.evaluate(run, tmp_path / "unseen")


def test_masks_scored_on_data_that_have_changed_since_say_so(place):
    study = segstudy.Study(place / "study")
    segstudy.score(place / "discs", place / "discs" / "masks", study.path, "tool")
    assert study.leaderboard().filter("masks")["test_iou"].to_list() == [1]
    file = study.path / "external" / "tool" / "record.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"data": {"name": "discs", "fingerprint": "0" * 16}}))
    (row,) = study.leaderboard().filter("masks").to_dicts()
    assert (row["test_iou"], row["behind"]) == (None, None)
    assert "scored on other data or with another tolerance, score it again" in segstudy.table(study.path)
    with pytest.raises(UserError, match="score it again"):
        segstudy.compare(str(study.path), "unet-bce-b4", "tool")


KILLED = """
import os, signal, sys
from pathlib import Path
import segstudy
rename, count = Path.rename, 0
def killed(self, target):
    global count
    if self.parent.name == "external" and not self.name.endswith(".partial"):
        count += 1
        if count == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = killed
segstudy.score(sys.argv[1], sys.argv[2], sys.argv[3], "tool")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_a_score_killed_between_its_renames_loses_nothing(place, number):
    study, discs = segstudy.Study(place / "study"), place / "discs"
    segstudy.score(discs, discs / "masks", study.path, "tool")
    command = [sys.executable, "-c", KILLED, discs, discs / "masks", study.path, str(number)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (study.path / "external" / "tool").exists() == (number == 1)
    frame = study.leaderboard().filter("masks")
    assert frame.select("configuration", "test_iou").rows() == [("tool", 1.0)]
    assert "tool" in segstudy.table(study.path)
    assert [each.name for each in study.folder.externals()] == ["tool"]
    assert {fault.state for fault in segstudy.verify(study.path).faults} <= {
        "incomplete",
        "stale",
        "orphaned",
    }
    segstudy.verify(study.path, repair=True)
    assert study.leaderboard().filter("masks")["test_iou"].to_list() == [1.0]
    segstudy.score(discs, discs / "masks", study.path, "tool")
    assert sorted(os.listdir(study.path / "external")) == ["tool"]  # noqa: PTH208


def test_a_score_renamed_right_after_it_was_found_is_listed(tmp_path, monkeypatch):
    folder = StudyFolder(fake_study.make_study(tmp_path / "study").path)
    place = folder.write_external("x", {"kind": "masks", "seeds": [0]}, pl.DataFrame({"n": [0]}))
    is_file, found = Path.is_file, []

    def renamed_after_it_was_seen(path):
        answer = is_file(path)
        if answer and path.name == "record.json" and not found:
            found.append(place.rename(place.with_name(".x.old")))
        return answer

    monkeypatch.setattr(Path, "is_file", renamed_after_it_was_seen)
    assert [each.name for each in folder.externals()] == ["x"]
    assert found


@pytest.mark.slow
def test_a_reader_sees_the_old_or_the_new_while_scores_are_replaced(tmp_path):
    folder = StudyFolder(fake_study.make_study(tmp_path / "study").path)
    record = {"kind": "masks", "seeds": [0]}
    script = (
        "import sys; from pathlib import Path; import polars as pl\n"
        "from segstudy.store.folder import StudyFolder\n"
        "for n in range(int(sys.argv[2])):\n"
        "    StudyFolder(Path(sys.argv[1])).write_external('x', {'kind': 'masks', 'seeds': [n]}, "
        "pl.DataFrame({'n': [n]}))\n"
    )
    folder.write_external("x", record, pl.DataFrame({"n": [0]}))
    with subprocess.Popen([sys.executable, "-c", script, str(folder.path), "150"]) as writer:
        looks = 0
        while writer.poll() is None:
            assert [each.name for each in folder.externals()] == ["x"]
            assert folder.external_images("x").height == 1
            looks += 1
    assert writer.returncode == 0
    assert looks > 5
