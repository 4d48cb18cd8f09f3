"""A study goes into no folder that holds something else: other data, another division, other files."""

import json
import shutil
from pathlib import Path

import pytest
from small import write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.data.datasets import synthetic
from segstudy.store.folder import StudyFolder
from segstudy.study.folder_check import OWN_NAMES
from segstudy.study.run import _best

pytestmark = pytest.mark.usefixtures("no_report")

QUICK = {
    **{"protocol": "quick", "architecture": "unet", "loss": "bce", "image_size": 32, "width": 2},
    **{"epochs": 1, "executor": "serial", "threads": 1, "images": False},
}
MORE = {name: value for name, value in QUICK.items() if name != "protocol"}


def written(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with the data sets `one` and `other` and a study of `one`."""
    folder = tmp_path_factory.mktemp("occupancy")
    write_dataset(folder / "one", n=12)
    write_dataset(folder / "other", n=12, seed=1)
    segstudy.run(folder / "one", out=folder / "s", **QUICK)
    return folder


@pytest.fixture
def here(finished, tmp_path) -> Path:
    shutil.copytree(finished, tmp_path / "here")
    toml = tmp_path / "here" / "s" / "study.toml"
    assert 'data = "../one"' in toml.read_text()
    return tmp_path / "here"


@pytest.mark.parametrize("call", [segstudy.run, segstudy.plan])
def test_out_on_a_study_of_other_data_is_refused_with_both_named(here, call):
    """The same ids, other pictures: a study of one would have lost its leaderboard to one of other."""
    before = written(here / "s")
    options = {name: value for name, value in QUICK.items() if name != "images"}
    with pytest.raises(segstudy.UserError) as raised:
        call(here / "other", out=here / "s", **options)
    assert str(here / "one") in str(raised.value)
    assert str(here / "other") in str(raised.value)
    assert "--out" in str(raised.value)
    assert written(here / "s") == before


def test_a_study_s_folder_with_other_data_is_refused(here, capsys):
    before = written(here / "s")
    with pytest.raises(SystemExit) as ended:
        main(["run", str(here / "s"), "--data", str(here / "other"), "--executor", "serial"])
    assert ended.value.code == 2
    assert "contains a study of" in capsys.readouterr().err
    assert written(here / "s") == before


@pytest.mark.slow
def test_the_synthetic_set_does_not_take_the_place_of_data(here):
    with pytest.raises(segstudy.UserError, match="contains a study of"):
        segstudy.run("synthetic:n=24", out=here / "s", **QUICK)


def test_the_name_of_a_data_set_elsewhere_does_not_lead_into_its_study(here, monkeypatch):
    """Two data sets called `one`, and the folder that follows from the name."""
    monkeypatch.chdir(here)
    segstudy.run("one", **QUICK)
    write_dataset(here / "elsewhere" / "one", n=12, seed=2)
    with pytest.raises(segstudy.UserError, match="one-quick: contains a study of"):
        segstudy.run("elsewhere/one", **QUICK)


@pytest.mark.parametrize("by", ["out", "data"])
def test_the_same_data_elsewhere_go_on(here, by):
    (here / "one").rename(here / "moved")
    if by == "out":
        segstudy.run(here / "moved", out=here / "s", **{**QUICK, "loss": ["bce", "dice"]})
    else:
        segstudy.run(here / "s", data=here / "moved", **{**MORE, "loss": "dice"})
    now = segstudy.status(here / "s")
    assert (now.num_finished, now.num_unnamed) == (2, 0)


def test_moved_data_may_have_grown_or_lose_samples_that_are_excluded(here):
    (here / "one").rename(here / "moved")
    write_dataset(here / "new", n=1, seed=3)
    for kind in ("images", "masks"):
        (here / "new" / kind / "disc00.png").rename(here / "moved" / kind / "extra.png")
    segstudy.run(here / "s", data=here / "moved", **MORE)
    assert segstudy.status(here / "s").num_unnamed == 1
    segstudy.run(here / "s", exclude=["extra", "disc01"], **MORE)
    assert segstudy.status(here / "s").num_unnamed == 2
    with pytest.raises(segstudy.UserError, match="contains a study of"):
        segstudy.run(here / "s", data=here / "other", exclude=["disc01"], **MORE)


def grown(here: Path, place: str) -> Path:
    """The data set `one` with a sample more, at another place."""
    shutil.copytree(here / "one", here / place)
    write_dataset(here / "new", n=1, seed=3)
    for kind in ("images", "masks"):
        (here / "new" / kind / "disc00.png").rename(here / place / kind / "extra.png")
    return here / place


@pytest.mark.parametrize("call", [segstudy.run, segstudy.plan])
def test_more_data_elsewhere_are_refused_by_out_and_go_on_as_the_study_s_data(here, call):
    """Somebody else's data set may hold this one: only who calls the study says that it is the same."""
    more, before = grown(here, "more"), written(here / "s")
    options = {name: value for name, value in QUICK.items() if name != "images"}
    with pytest.raises(
        segstudy.UserError, match=r"one \(12 samples\), not of .*more \(13 samples\)"
    ) as raised:
        call(more, out=here / "s", **options)
    assert f"segstudy run {here / 's'} --data {more}" in str(raised.value)
    assert written(here / "s") == before
    segstudy.run(here / "s", data=more, **MORE)
    assert segstudy.status(here / "s").num_unnamed == 1
    segstudy.run(more, out=here / "s", **QUICK)  # from now on it is a study of these data


def test_more_data_at_the_same_place_go_on_by_out(here):
    grown(here, "more")
    shutil.rmtree(here / "one")
    (here / "more").rename(here / "one")
    segstudy.run(here / "one", out=here / "s", **QUICK)
    assert segstudy.status(here / "s").num_unnamed == 1


def test_moved_data_go_on_by_out_without_samples_that_are_excluded_now_or_were_before(here):
    (here / "one").rename(here / "moved")
    segstudy.run(here / "moved", out=here / "s", exclude=["disc01"], **QUICK)
    (here / "moved").rename(here / "again")
    segstudy.run(here / "again", out=here / "s", **QUICK)
    assert segstudy.status(here / "s").num_unnamed == 1


@pytest.mark.slow
@pytest.mark.parametrize("other", ["synthetic:n=30", "synthetic:n=24:seed=1"])
def test_another_drawn_set_is_refused_and_the_same_by_another_name_goes_on(tmp_path, other):
    """Of 30 drawn images the first 24 are those of the set of 24: it has not grown, it is another set."""
    segstudy.run("synthetic:n=24", out=tmp_path / "s", **QUICK)
    before = written(tmp_path / "s")
    both = rf"contains a study of synthetic:n=24 \(24 samples\), not of {other} "
    with pytest.raises(segstudy.UserError, match=both):
        segstudy.run(other, out=tmp_path / "s", **QUICK)
    with pytest.raises(segstudy.UserError, match=both):
        segstudy.run(tmp_path / "s", data=other, **MORE)
    assert written(tmp_path / "s") == before
    segstudy.run("synthetic:n=24:seed=0", out=tmp_path / "s", **QUICK)
    assert segstudy.status(tmp_path / "s").num_unnamed == 0


@pytest.mark.slow
def test_files_that_hold_a_drawn_set_do_not_grow_into_another_drawn_set(tmp_path):
    synthetic.write(tmp_path / "files", 24)
    segstudy.run(tmp_path / "files", out=tmp_path / "s", **QUICK)
    for call in (
        {"study": "synthetic:n=30", "out": tmp_path / "s", **QUICK},
        {"study": tmp_path / "s", "data": "synthetic:n=30", **MORE},
    ):
        with pytest.raises(segstudy.UserError, match=r"files \(24 samples\), not of synthetic:n=30 "):
            segstudy.run(**call)


def replaced(here: Path, num_images: int) -> None:
    """Replace so many images of `one`, and every mask, by those of `other` under the same names."""
    for kind, num in (("images", num_images), ("masks", 12)):
        for file in sorted((here / "other" / kind).iterdir())[:num]:
            shutil.copy(file, here / "one" / kind / file.name)


@pytest.mark.parametrize("num_images", [7, 12])
@pytest.mark.parametrize("by", ["out", "study"])
def test_other_images_under_the_same_names_are_refused(here, num_images, by):
    replaced(here, num_images)
    before = written(here / "s")
    call = (
        {"study": here / "one", "out": here / "s", **QUICK} if by == "out" else {"study": here / "s", **MORE}
    )
    with pytest.raises(segstudy.UserError, match=r"an earlier .*one"):
        segstudy.run(**call)
    assert written(here / "s") == before


def test_half_of_the_images_and_every_mask_may_be_corrected(here):
    replaced(here, 6)
    segstudy.run(here / "s", **MORE)
    assert segstudy.status(here / "s").num_unnamed == 1


def test_a_study_that_knows_no_images_by_their_hashes_goes_by_the_names(here):
    """As older versions wrote it."""
    file = here / "s" / "data.json"
    stored = json.loads(file.read_text())
    for sample in stored["samples"]:
        del sample["image"], sample["mask"]
    file.write_text(json.dumps(stored))
    replaced(here, 12)
    segstudy.run(here / "s", **MORE)
    assert segstudy.status(here / "s").num_unnamed == 1


def test_the_best_so_far_is_one_of_the_plan_s_own_runs_by_its_name_there(here):
    """Finished runs of other data or options stay in the folder, and names depend on what is compared."""
    options = {name: value for name, value in QUICK.items() if name != "images"}
    folder = StudyFolder(here / "s")
    plan = segstudy.plan(here / "s", **{**options, "protocol": None, "loss": "dice", "width": [2, 4]})[0]
    iou, name = _best(plan, folder)
    assert iou == folder.run_records(folder.finished())[0].summary.scores["validation"]["network_iou"]
    assert name == plan.names()[next(iter(folder.finished()))]
    other = segstudy.plan(here / "one", out=here / "elsewhere", **{**options, "loss": "dice"})[0]
    assert _best(other, folder) is None


def test_data_corrected_in_place_go_on_and_what_was_trained_before_is_said(here, capsys):
    shutil.copy(here / "other" / "masks" / "disc00.png", here / "one" / "masks" / "disc00.png")
    with pytest.raises(SystemExit) as ended:
        main(["run", str(here / "s"), "--executor", "serial", "--no-images"])
    assert ended.value.code == 0
    err = " ".join(capsys.readouterr().err.split())
    assert "1 finished run with other options" in err
    assert f"segstudy table {here / 's'} --all shows it" in err
    assert "no longer named" not in err


def test_what_a_study_names_no_more_is_said_before_it_is_run(here, capsys):
    """Asked for by the data's folder, fewer configurations: another model would be used from now on."""
    segstudy.run(here / "s", **{**MORE, "loss": ["dice"]})
    (here / "s").rename(here / "a study")
    asked = ["run", str(here / "one"), "--out", str(here / "a study"), "--loss", "bce", "--protocol", "quick"]
    flags = ["--architecture", "unet", "--image-size", "32", "--width", "2", "--epochs", "1", "--no-images"]
    for words in ([*asked, *flags, "--executor", "serial"], ["status", str(here / "a study")]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    out, err = (" ".join(text.split()) for text in capsys.readouterr())
    assert "study.toml now names 1 configuration; 1 that finished before is no longer named" in err
    assert f"to add to the study instead: segstudy run '{here / 'a study'}' OPTIONS" in err
    assert f"segstudy table '{here / 'a study'}' --all shows" in err
    assert f"segstudy table '{here / 'a study'}' --all shows" in out


def test_another_data_set_at_the_same_place_is_refused(here):
    for kind in ("images", "masks"):
        for file in (here / "one" / kind).iterdir():
            file.rename(file.with_name(f"other-{file.name}"))
    with pytest.raises(segstudy.UserError, match=r"an earlier .*one"):
        segstudy.run(here / "s", **MORE)


def test_another_name_is_fine(here):
    segstudy.run(here / "one", out=here / "s", name="called otherwise", **QUICK)
    assert segstudy.Study(here / "s").config.name == "called otherwise"


def split(folder: Path, name: str, ids: list[str]) -> Path:
    parts = {"train": ids[:6], "validation": ids[6:9], "test": ids[9:]}
    (folder / name).write_text(json.dumps(parts))
    return folder / name


def test_another_split_file_is_refused_and_the_same_parts_from_another_file_go_on(here):
    ids = [f"disc{i:02}" for i in range(12)]
    first, second = split(here, "a.json", ids), split(here, "b.json", ids[::-1])
    with pytest.raises(segstudy.UserError, match=r"split by auto, not by .*a\.json"):
        segstudy.run(here / "s", split=first, **MORE)
    segstudy.run(here / "one", out=here / "t", split=first, **QUICK)
    for call in ({"study": here / "t", **MORE}, {"study": here / "one", "out": here / "t", **QUICK}):
        with pytest.raises(segstudy.UserError, match=r"by .*a\.json, not by .*b\.json"):
            segstudy.run(split_file=second, **call)
    copied = split(here, "c.json", ids)
    segstudy.run(here / "t", split=copied, **MORE)
    assert segstudy.status(here / "t").num_unnamed == 0
    split(here, "c.json", ids[::-1])
    with pytest.raises(segstudy.UserError, match=r"an earlier .*c\.json"):
        segstudy.run(here / "t", **MORE)


def test_a_folder_of_other_files_is_refused(here):
    (here / "papers").mkdir()
    for name in ("a.pdf", "b.pdf", "c.pdf", "d.pdf"):
        (here / "papers" / name).write_text("x")
    with pytest.raises(segstudy.UserError, match=r"contains a\.pdf, b\.pdf, c\.pdf and 1 more"):
        segstudy.run(here / "one", out=here / "papers", **QUICK)
    with pytest.raises(segstudy.UserError, match="is not a study and contains images, masks"):
        segstudy.run(here / "one", out=here / "one", **QUICK)
    assert sorted(path.name for path in (here / "one").iterdir()) == ["images", "masks"]


def test_an_empty_folder_and_a_study_s_that_lost_its_study_file_are_taken(here):
    (here / "empty").mkdir()
    (here / "empty" / ".hidden").write_text("")
    segstudy.run(here / "one", out=here / "empty", **QUICK)
    (here / "s" / "study.toml").unlink()
    segstudy.run(here / "one", out=here / "s", **QUICK)
    assert segstudy.status(here / "s").num_finished == 1


def test_every_file_of_a_study_is_known_as_its_own(here):
    """Otherwise a study whose study.toml is lost could not be taken up again."""
    segstudy.report(here / "s", images=False)
    assert {path.name for path in (here / "s").iterdir()} <= OWN_NAMES | {"study.toml"}


def test_a_study_file_of_one_s_own_is_not_replaced_by_other_data(here):
    (here / "mine").mkdir()
    (here / "mine" / "study.toml").write_text('data = "../one"\n')
    with pytest.raises(segstudy.UserError, match="contains a study of"):
        segstudy.run(here / "other", out=here / "mine", **QUICK)
    assert (here / "mine" / "study.toml").read_text() == 'data = "../one"\n'
