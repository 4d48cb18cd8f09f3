"""``segstudy merge``: studies of the same data and split become one, and what differs is named."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from failing_disk import FailingDisk
from fake_study import fail, finish, make_study, masks, rewrite
from filelock import FileLock
from places import TESTS
from small import TINY, write_dataset
from trees import merged_tree, tree

import segstudy
from segstudy.analysis.changes_after_registration import registered
from segstudy.cli.studies import main
from segstudy.config.study import validated
from segstudy.config.study_file import dump
from segstudy.config.union import union
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.store.folder import StudyFolder
from segstudy.store.preregistration import register
from segstudy.store.records import FailureRecord
from segstudy.study.folder_check import OWN_NAMES


def two_studies(place: Path, **of_second) -> tuple[StudyFolder, StudyFolder]:
    """Seeds 0 to 2 of two architectures; seeds 2 and 3 of one of them, and another loss."""
    place.mkdir(exist_ok=True)
    (place / "pictures").mkdir()
    a = make_study(place / "a", ("segnet", "unet"), ("bce",), seeds=3)
    b = make_study(place / "b", ("unet",), ("bce", "dice"), **{"seeds": 4, **of_second})
    for seed in range(3):
        finish(a, "segnet-bce-b8", 0.7, 0.7, seed=seed, noise=0.01)
        finish(a, "unet-bce-b8", 0.8, 0.8, seed=seed, noise=0.01)
    return a, b


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("merged") / "studies"
    _, b = two_studies(place)
    for seed in (2, 3):
        finish(b, "unet-bce-b8", 0.8, 0.8, seed=seed, noise=0.01)
    for seed in range(3):
        finish(b, "unet-dice-b8", 0.85, 0.85, seed=seed, noise=0.01)
    fail(b, "unet-dice-b8", seed=3)
    return place


@pytest.fixture
def place(studies, tmp_path) -> Path:
    return Path(shutil.copytree(studies, tmp_path / "studies"))


def test_seeds_and_configurations_of_both_are_one_study(place):
    before = tree(place)
    (place / "a" / "study.lock").write_text("{}")  # of a process that ended; it goes
    found = segstudy.merge(place / "a", place / "b", out=place / "c")
    assert (found.num_runs, found.num_shared, found.num_replaced) == (10, 1, 0)
    assert (found.num_failed, found.num_left, found.num_new) == (1, 2, 1)
    now = tree(place)
    assert {name: now[name] for name in now if name[0] in "ab"} == before  # no merged study is changed
    verified = segstudy.verify(place / "c")
    assert (verified.num_runs, verified.num_elsewhere, verified.faults) == (10, 0, ())
    status = segstudy.status(place / "c")
    assert (status.num_planned, status.num_finished, status.num_failed) == (12, 10, 1)
    assert status.num_unnamed == 0
    leaderboard = segstudy.Study(place / "c").leaderboard()
    assert set(leaderboard["configuration"]) == {"segnet-bce-b8", "unet-bce-b8", "unet-dice-b8"}
    alone = segstudy.Study(place / "b").leaderboard()
    for name in ("test_iou", "validation_iou"):
        of_dice = [
            frame.filter(frame["configuration"] == "unet-dice-b8")[name].item()
            for frame in (leaderboard, alone)
        ]
        assert of_dice[0] == of_dice[1]


def test_every_run_is_a_copy_and_no_link(place):
    segstudy.merge(place / "a", place / "b", out=place / "c")
    for key in StudyFolder(place / "a").finished():
        for file in (place / "c" / "runs" / key).iterdir():
            assert file.read_bytes() == (place / "a" / "runs" / key / file.name).read_bytes()
            assert file.stat().st_nlink == 1
            assert not file.is_symlink()


def test_the_same_call_again_changes_nothing_and_another_is_refused(place):
    segstudy.merge(place / "a", place / "b", out=place / "c")
    before = tree(place)
    assert segstudy.merge(place / "a", place / "b", out=place / "c").was_there
    assert tree(place) == before
    with pytest.raises(UserError, match="is a study already, not the one of this call; choose another"):
        segstudy.merge(place / "b", place / "a", out=place / "c")
    with pytest.raises(UserError, match="is a study already"):
        segstudy.merge(place / "a", place / "c", out=place / "b" / ".." / "b2" / ".." / "b")
    assert tree(place) == before


def test_merging_has_no_order_but_in_ties(place):
    segstudy.merge(place / "a", place / "b", out=place / "c")
    segstudy.merge(place / "b", place / "a", out=place / "d")
    one, other = (
        {name: value for name, value in tree(place / each / "runs").items() if not name.endswith("run.json")}
        for each in "cd"
    )
    assert one == other


def test_three_studies_and_merged_ones_merge_too(place):
    segstudy.merge(place / "a", place / "b", out=place / "c")
    shutil.copytree(place / "a", place / "e")
    found = segstudy.merge(place / "c", place / "a", place / "e", out=place / "d")
    assert (found.num_runs, found.num_shared, found.num_new) == (10, 6, 0)
    assert segstudy.verify(place / "d").faults == ()


def altered_run(place: Path) -> str:
    """One run of b that a has too gets other numbers, as other hardware would give."""
    (key,) = StudyFolder(place / "a").finished() & StudyFolder(place / "b").finished()
    import polars as pl

    file = place / "b" / "runs" / key / "images.parquet"
    rewrite(file, pl.read_parquet(file).with_columns(pl.col("native_nsd") + 1e-7))
    return key


def test_one_key_with_different_numbers_is_refused_or_counted(place):
    key = altered_run(place)
    with pytest.raises(UserError, match=f"1 run with different files in .*{key}.*--accept-differences"):
        segstudy.merge(place / "a", place / "b", out=place / "c")
    assert not (place / "c").exists()
    found = segstudy.merge(place / "a", place / "b", out=place / "c", accept_differences=True)
    assert (found.num_runs, found.num_shared, found.num_replaced) == (10, 0, 1)
    assert tree(place / "c" / "runs" / key) == tree(place / "a" / "runs" / key)
    assert json.loads((place / "c" / "merged.json").read_text())["replaced"] == [key]
    text = registered(StudyFolder(place / "c")).text
    assert "1 run had different numbers in several of them: those of the first were taken." in text


def test_a_damaged_run_is_not_copied(place):
    key = min(StudyFolder(place / "a").finished())
    file = place / "a" / "runs" / key / "predictions.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        UserError, match=rf"a/runs/{key}: altered \(predictions.parquet changed.*verify.*--repair"
    ):
        segstudy.merge(place / "a", place / "b", out=place / "c")
    assert not (place / "c" / "study.toml").exists()


def edit(file: Path, **fields) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def of_study(folder: Path, **fields) -> None:
    study = StudyFolder(folder).study()
    raw = study.model_dump() | {name: value for name, value in fields.items() if name != "protocol"}
    raw["protocol"] |= fields.get("protocol", {})
    (folder / "study.toml").write_text(dump(validated(raw, ""), folder))


def other_images(b: Path) -> None:
    edit(b / "data.json", fingerprint="f" * 16)


def other_group(b: Path) -> None:
    data = json.loads((b / "data.json").read_text())
    data["samples"][3]["category"] = "another"
    (b / "data.json").write_text(json.dumps(data))


def other_subsets(b: Path) -> None:
    split = json.loads((b / "split.json").read_text())
    parts = split["splits"][0]
    parts["train"][0], parts["test"][0] = parts["test"][0], parts["train"][0]
    (b / "split.json").write_text(json.dumps(split))


def other_numerics(b: Path) -> None:
    numerics = json.loads((b / "numerics.json").read_text())
    numerics["architecture"]["unet"] = 2
    (b / "numerics.json").write_text(json.dumps(numerics | {"training": 3}))


def other_bfloat16(b: Path) -> None:
    """Both studies train in bfloat16; the first was planned before its arithmetic had a version."""
    for folder in (b.parent / "a", b):
        of_study(folder, protocol={"precision": "bfloat16"})
    numerics = json.loads((b / "numerics.json").read_text())
    (b / "numerics.json").write_text(json.dumps(numerics | {"bfloat16": {"unet": 2}}))


REFUSED = {
    "data": (
        other_images,
        r"data: pictures \(18 samples, f{16}\), not pictures \(18 samples, 0123456789abcdef",
    ),
    "category": (other_group, "category of 1 sample: another, not melanoma, of image03"),
    "subsets": (other_subsets, r"split: the subsets of 1 split have other images \(split_seed 0\)"),
    "split seed": (lambda b: of_study(b, protocol={"split_seed": 7}), "split_seed: 7, not 0"),
    "folds": (lambda b: of_study(b, folds=3), "folds: 3, not 0"),
    "margin": (
        lambda b: of_study(b, margin=0.02),
        r"margin: 0.02, not 0.01 \(`segstudy run .*b --set margin=0.01`",
    ),
    "tolerance": (lambda b: of_study(b, protocol={"nsd_tolerance": 0.03}), "nsd_tolerance: 0.03, not 0.02"),
    "masks": (lambda b: of_study(b, protocol={"masks": "background=0"}), "masks: background=0, not auto"),
    "foreground": (lambda b: of_study(b, protocol={"foreground": [1, 2]}), r"foreground: 1\+2, not none"),
    "numerics": (other_numerics, "versions of the code: training 3, not 1, unet 2, not 1"),
    "numerics of bfloat16": (other_bfloat16, "versions of the code: unet in bfloat16 2, not 1"),
    "no numerics": (lambda b: (b / "numerics.json").unlink(), "numerics.json is missing from .*b"),
    "no data": (
        lambda b: (b / "data.json").unlink(),
        "b: data.json is missing; `segstudy run .*b` writes it",
    ),
    "no study": (lambda b: (b / "study.toml").unlink(), "b: is not a study"),
    "sequential": (
        lambda b: (b / "preregistration.json").write_text('{"looks": 1}'),
        "preregistration.json: damaged",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_differs_is_named_and_nothing_is_written(place, what):
    change, message = REFUSED[what]
    change(place / "b")
    before = tree(place)
    with pytest.raises(UserError, match=message):
        segstudy.merge(place / "a", place / "b", out=place / "c")
    assert tree(place) == before
    assert not (place / "c").exists()


def test_everything_that_differs_is_named_at_once(place):
    of_study(place / "b", margin=0.02, protocol={"nsd_tolerance": 0.03})
    other_group(place / "b")
    with pytest.raises(
        UserError, match=r"category.*; margin: .*; nsd_tolerance: .*; studies are merged only if"
    ):
        segstudy.merge(place / "a", place / "b", out=place / "c")


def test_a_sequential_study_is_refused(place):
    b = StudyFolder(place / "b")
    for key in b.finished():
        shutil.rmtree(b.runs / key)
    for file in b.failures.iterdir():
        file.unlink()
    plan = {
        **{"seeds": [3, 5], "error_shares": [0.02, 0.03], "margin": 0.01, "score": "iou"},
        **{"configurations": ["unet-bce-b8"], "study_sha256": "0" * 64},
    }
    register(b, b.study(), "0123456789abcdef", b.splits(), plan)
    with pytest.raises(UserError, match=r"looks.json: missing"):
        segstudy.merge(place / "a", place / "b", out=place / "c")
    from segstudy.store.looks import begin_looks, looks_of

    begin_looks(b, looks_of(b, rebuild=True))
    with pytest.raises(UserError, match="b: is a sequential study: its looks were planned for its own runs"):
        segstudy.merge(place / "a", place / "b", out=place / "c")


def test_places_that_cannot_be_are_refused(place):
    for paths, out, message in (
        (["a"], "c", "folders of two studies or more, got 1"),
        (["a", "b", "a"], "c", "a is given twice"),
        (["a", "b"], "a", r"^--out .*a is one of the studies to merge; choose another folder"),
        (["a", "b"], "b", r"^--out .*b is one of the studies to merge; choose another folder"),
        (["a", "b"], "a/c", "lie in one another"),
        (["a", "b"], ".", "lie in one another"),
        (["a", "b"], "pictures", "is not empty"),
    ):
        (place / "pictures" / "x").touch()
        with pytest.raises(UserError, match=message):
            segstudy.merge(*(place / each for each in paths), out=place / out)


def test_a_study_that_is_trained_is_refused(place):
    with (
        hold(StudyFolder(place / "b").lock, "this study"),
        pytest.raises(UserError, match=r"b: process .* is working on this study; wait until it is done"),
    ):
        segstudy.merge(place / "a", place / "b", out=place / "c")
    assert not (place / "c").exists()


def test_no_run_begins_in_a_study_while_it_is_merged(place):
    refused = []

    def stage(name: str, *_: int) -> None:
        for folder in (place / "a", place / "b"):
            if (name, folder.name) in refused:  # once for each: what is refused has waited
                continue
            with pytest.raises(UserError, match=r"process .* is working on this study; wait until it is don"):
                segstudy.run(folder, retry=True)
            refused.append((name, folder.name))

    found = segstudy.merge(place / "a", place / "b", out=place / "c", stage=stage)
    assert found.num_runs == 10
    assert {("copying the runs", "b"), ("copying what else there is", "a")} <= set(refused)


def test_a_folder_that_is_no_study_is_not_made(place):
    before = tree(place)
    with pytest.raises(UserError, match="x: is not a study"):
        segstudy.merge(place / "a", place / "x", out=place / "c")
    assert tree(place) == before
    assert not (place / "x").exists()


def test_studies_in_a_folder_that_cannot_be_written_are_merged(place, monkeypatch):
    """As those of another user; no lock is held there, and who trains now is noticed if that can be seen."""
    open_lock = FileLock.acquire

    def refused(lock, *args, **kwargs):
        if Path(lock.lock_file).parent.name == "b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_lock(lock, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", refused)
    assert segstudy.merge(place / "a", place / "b", out=place / "c").num_runs == 10


def test_a_run_that_one_finished_is_no_failure_of_the_other(place):
    b = StudyFolder(place / "b")
    fail(StudyFolder(place / "b"), "unet-bce-b8", seed=0)
    key = min(b.failed().keys() & StudyFolder(place / "a").finished())
    found = segstudy.merge(place / "b", place / "a", out=place / "c")
    assert found.num_failed == 1
    assert key in StudyFolder(place / "c").finished()
    assert not (place / "c" / "failures" / f"{key}.json").exists()


def test_of_saved_states_the_furthest_that_is_whole_is_kept(place):
    a, b = StudyFolder(place / "a"), StudyFolder(place / "b")
    (key,) = b.failed()
    for folder, epoch in ((a, 4), (a, 5), (b, 6), (b, 7)):
        folder.checkpoints(key).write(epoch, b"state" * epoch)
    file = b.checkpoints(key).folder / "000007.state"
    file.write_bytes(file.read_bytes()[:-1])
    done = min(a.finished())
    b.checkpoints(done).write(3, b"of a run that a has finished")
    found = segstudy.merge(place / "a", place / "b", out=place / "c")
    assert found.num_begun == 1
    assert tree(place / "c" / "checkpoints") == {
        f"{key}/000006.state": tree(place / "b" / "checkpoints")[f"{key}/000006.state"]
    }
    assert segstudy.verify(place / "c").faults == ()


def test_a_state_that_somebody_copied_by_hand_is_skipped(place):
    a, b = StudyFolder(place / "a"), StudyFolder(place / "b")
    (key,) = b.failed()
    a.checkpoints(key).write(4, b"state")
    state = a.checkpoints(key).folder / "000004.state"
    shutil.copy(state, state.with_name("000004 (1).state"))
    segstudy.merge(place / "a", place / "b", out=place / "c")
    assert set(tree(place / "c" / "checkpoints")) == {f"{key}/000004.state"}


@pytest.mark.parametrize("name", ["record.json", "images.parquet"])
def test_scores_of_other_tools_that_are_damaged_are_named(place, name):
    for folder in "ab":
        masks(StudyFolder(place / folder), "their-net", 0.6, {})
    file = place / "b" / "external" / "their-net" / name
    file.unlink() if name == "images.parquet" else file.write_text('{"name": 3}')
    masks(StudyFolder(place / "a"), "their-net", 0.61, {})
    with pytest.raises(UserError, match=f"b/external/their-net/{name}: "):
        segstudy.merge(place / "a", place / "b", out=place / "c")


def test_masks_of_other_tools_are_kept_and_of_one_name_they_must_be_equal(place):
    for name in "ab":
        masks(StudyFolder(place / name), "their-net", 0.6, {})
    masks(StudyFolder(place / "b"), "another", 0.5, {})
    segstudy.merge(place / "a", place / "b", out=place / "c")
    assert {path.name for path in (place / "c" / "external").iterdir()} == {"their-net", "another"}
    masks(StudyFolder(place / "b"), "their-net", 0.61, {})
    with pytest.raises(UserError, match="have one name and different scores; --accept-differences"):
        segstudy.merge(place / "a", place / "b", out=place / "d")
    segstudy.merge(place / "a", place / "b", out=place / "d", accept_differences=True)
    assert tree(place / "d" / "external" / "their-net") == tree(place / "a" / "external" / "their-net")


@pytest.mark.slow
def test_the_report_says_what_was_merged_and_what_was_registered(place):
    for name in "ab":
        folder = StudyFolder(place / name)
        aside = place / f"runs of {name}"
        folder.runs.rename(aside)
        shutil.move(folder.failures, place / f"failures of {name}")
        folder.create()
        register(folder, folder.study(), "0123456789abcdef", folder.splits())
        shutil.rmtree(folder.runs)
        aside.rename(folder.runs)
    edit_written(place / "a", "2026-03-02T00:00:00+00:00")
    edit_written(place / "b", "2026-03-01T00:00:00+00:00")
    segstudy.merge(place / "a", place / "b", out=place / "c")
    assert (place / "c/preregistration.json").read_bytes() == (place / "b/preregistration.json").read_bytes()
    segstudy.report(place / "c", images=False)
    page = (place / "c" / "report.html").read_text()
    assert "1 configuration added (segnet-bce-b8)" in page
    assert registered(StudyFolder(place / "c")).sentence in page
    assert "from a (6 runs, registered on 2026-03-02" in page
    assert "and b (5 runs, registered on 2026-03-01" in page
    (place / "a" / "preregistration.json").unlink()
    segstudy.merge(place / "a", place / "b", out=place / "d")
    assert not (place / "d" / "preregistration.json").exists()
    assert segstudy.verify(place / "d").faults == ()


def edit_written(folder: Path, when: str) -> None:
    from segstudy.store.run_records import seal

    record = json.loads((folder / "preregistration.json").read_text())
    record["written"] = when
    del record["seal"]
    (folder / "preregistration.json").write_text(json.dumps({**record, "seal": seal(record)}))


def test_reports_of_all_studies_count_as_looks_at_test(place):
    both = {"segnet-bce-b8": 3, "unet-bce-b8": 3}
    for name, reports in (
        ("a", [("2026-03-01", {"unet-bce-b8": 3}), ("2026-03-05", both)]),
        ("b", [("2026-03-03", {"unet-bce-b8": 2, "unet-dice-b8": 3}), ("2026-03-05", both)]),
    ):
        record = [{"when": when, "scored": scored} for when, scored in reports]
        (place / name / "reports.json").write_text(json.dumps(record))
    segstudy.merge(place / "a", place / "b", out=place / "c")
    reports = StudyFolder(place / "c").reports()
    assert [each.when[-2:] for each in reports] == ["01", "03", "05"]
    assert reports[-1].scored == both
    assert not (place / "c" / "report.html").exists()


def test_protocols_that_differ_become_a_factor(tmp_path):
    _, b = two_studies(tmp_path / "s", epochs=5, factors={"lr": [1e-3, 1e-2]})
    finish(b, "unet-dice-b8-lr=0.01", 0.9, 0.9)
    found = segstudy.merge(tmp_path / "s" / "a", b.path, out=tmp_path / "c")
    assert found.differing == ("epochs (3; 5)", "lr (0.001; 0.001, 0.01)")
    status = segstudy.status(tmp_path / "c")
    assert (status.num_finished, status.num_unnamed, status.num_planned) == (7, 0, 24)


def test_a_union_plans_what_each_study_plans():
    """Also where a field is None, which no grid can say."""
    base = {"name": "s", "data": "synthetic"}
    one = {**base, "protocol": {"image_size": 64}, "grid": [{"architecture": ["unet"], "loss": ["bce"]}]}
    two = {
        **base,
        "seeds": 2,
        "protocol": {"image_size": "64x96", "micro_batch": 2, "foreground": [1, 2], "optimizer": "sgd"},
        "grid": [{"architecture": ["unet"], "loss": ["bce"]}, {"architecture": ["segnet"], "loss": ["dice"]}],
    }
    for raw in ([one, two], [two, one]):
        studies = [validated(each, "") for each in raw]
        found = union(studies)
        wanted = {each.identity for study in studies for each in study.configurations()}
        assert {each.identity for each in found.configurations()} == wanted
        assert found.seeds == 2
        assert len(found.configurations()) == 3
    assert union([studies[0], studies[0]]).grid == studies[0].grid


def test_a_file_of_ones_own_is_one_component_wherever_it_lies(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "my.py").write_text("class Net: ...")
    (tmp_path / "pictures").mkdir()
    folders = [
        make_study(tmp_path / name / "s", (f"{tmp_path}/{name}/my.py:Net",), ("bce",)) for name in "ab"
    ]
    for folder in folders:
        numerics = json.loads((folder.path / "numerics.json").read_text())
        numerics["architecture"] = dict.fromkeys(numerics["architecture"], "0" * 64)
        (folder.path / "numerics.json").write_text(json.dumps(numerics))
    (tmp_path / "a" / "my.py").unlink()
    found = segstudy.merge(folders[0].path, folders[1].path, out=tmp_path / "c")
    study = StudyFolder(tmp_path / "c").study()
    assert [each.architecture for each in study.configurations()] == [f"{tmp_path}/b/my.py:Net"]
    assert found.num_left == 1


def test_data_of_the_first_study_that_has_them_are_used(place):
    of_study(place / "a", data=str(place / "moved away"), exclude=("image99",))
    segstudy.merge(place / "a", place / "b", out=place / "c")
    study = StudyFolder(place / "c").study()
    assert (study.data, study.exclude) == (str(place / "pictures"), ())
    shutil.rmtree(place / "pictures")
    segstudy.merge(place / "a", place / "b", out=place / "d")
    assert StudyFolder(place / "d").study().exclude == ("image99",)


def test_equal_subsets_by_another_rule_are_the_same_split(place):
    """As of a study that took the other one's split.json."""
    split = json.loads((place / "b" / "split.json").read_text())
    split["splits"][0]["split"] = "50/25/25"
    (place / "b" / "split.json").write_text(json.dumps(split))
    shutil.copy(place / "a" / "split.json", place / "fixed.json")
    of_study(place / "b", protocol={"split": "50/25/25"}, split_file=str(place / "fixed.json"))
    found = segstudy.merge(place / "b", place / "a", out=place / "c")
    assert (found.num_runs, found.differing) == (10, ())
    assert StudyFolder(place / "c").study().split_file == str(place / "fixed.json")
    assert segstudy.status(place / "c").num_unnamed == 0
    assert {each.split for each in StudyFolder(place / "c").splits()} == {"50/25/25"}


def test_other_hardware_is_said(place):
    b = StudyFolder(place / "b")
    for key in b.finished():
        record = json.loads((b.runs / key / "run.json").read_text())
        record["environment"]["threads"] = 2
        from segstudy.store.run_records import seal

        (b.runs / key / "run.json").write_text(json.dumps(record | {"seal": seal(record)}))
    found = segstudy.merge(place / "a", place / "b", out=place / "c")
    assert found.environments == "threads (1, 2)"
    assert segstudy.verify(place / "c").differing == "threads (1, 2)"


def test_a_run_that_would_not_be_named_is_refused_before_anything_is_copied(tmp_path):
    """Without numerics.json, as of version 0.1, the newest run tells which versions a study has."""
    a, b = two_studies(tmp_path / "s")
    finish(b, "unet-bce-b8", 0.8, 0.8, seed=3, version=2, started="2026-02-01T00:00:00+00:00")
    for folder in (a, b):
        (folder.path / "numerics.json").unlink()
    before = tree(tmp_path)
    with pytest.raises(UserError, match=r"s/a: 3 runs of it \([0-9a-f]{16}\) would not be named by the mer"):
        segstudy.merge(a.path, b.path, out=tmp_path / "c")
    assert tree(tmp_path) == before
    assert not (tmp_path / "c").exists()


def test_the_command_says_what_it_did(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as ended:
        main(["merge", "a", "b", "--out", "c"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "c: 10 runs merged (a: 6, b: 5)",
        "1 run in several studies, with equal files",
        "1 failed, 0 started and saved",
        "2 runs left, 1 of them planned by none of the studies: segstudy run c trains them",
        "segstudy report c writes the report",
    ]
    with pytest.raises(SystemExit) as ended:
        main(["merge", "a", "--out", "d"])
    assert ended.value.code == 2


def test_no_path_of_this_machine_is_in_the_record_of_the_merge(place):
    segstudy.merge(place / "a", place / "b", out=place / "c")
    assert str(place) not in (place / "c" / "merged.json").read_text()


def test_files_that_a_merge_writes_are_known():
    assert "merged.json" in OWN_NAMES
    assert "key" in FailureRecord.model_fields


@pytest.mark.slow
def test_a_merged_study_goes_on_and_trains_only_what_was_nowhere(tmp_path):
    data = write_dataset(tmp_path / "discs", n=12)
    options = {**TINY, "batch_size": 4, "executor": "serial", "threads": 1, "images": False, "epochs": 1}
    segstudy.run(data, out=tmp_path / "a", architecture="unet", loss="bce", **options)
    segstudy.run(data, out=tmp_path / "b", architecture="unet", loss=["bce", "dice"], **options)
    found = segstudy.merge(tmp_path / "a", tmp_path / "b", out=tmp_path / "c")
    assert (found.num_runs, found.num_shared, found.num_left) == (2, 1, 0)
    before = tree(tmp_path / "c" / "runs")
    segstudy.run(tmp_path / "c", seeds=2, executor="serial", threads=1, images=False)
    after = tree(tmp_path / "c" / "runs")
    assert {name: after[name] for name in before} == before
    assert len(StudyFolder(tmp_path / "c").finished()) == 4
    assert segstudy.verify(tmp_path / "c").faults == ()


def killed(place: Path, step: int) -> dict:
    command = [sys.executable, str(TESTS / "killing_disk.py"), str(step), str(place / "c"), "merge"]
    done = subprocess.run(
        [*command, str(place / "a"), str(place / "b")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture
def small(tmp_path) -> Path:
    """Two studies with one run each, external scores, a failure and a saved state."""
    (tmp_path / "pictures").mkdir()
    a, b = make_study(tmp_path / "a", ("unet",), ("bce",)), make_study(tmp_path / "b", ("unet",), ("dice",))
    finish(a, "unet-bce-b8", 0.7, 0.7)
    finish(b, "unet-dice-b8", 0.8, 0.8)
    make_study(tmp_path / "b", ("segnet", "unet"), ("dice",))
    fail(b, "segnet-dice-b8")
    b.checkpoints(min(b.failed())).write(6, b"state")
    masks(a, "their-net", 0.6, {})
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX systems can fork")
def test_a_kill_at_any_write_leaves_nothing_that_looks_finished(small):
    before = tree(small)
    found = killed(small, step=1)
    assert found["kills"] > 100
    assert found["wrong"] == []
    assert tree(small) == before


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_full_or_broken_disk_at_any_write_is_said_and_the_same_call_completes(
    small, monkeypatch, error, step
):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    segstudy.merge(small / "a", small / "b", out=small / "c")
    wanted = merged_tree(small / "c")
    shutil.rmtree(small / "c")
    disk, failures = FailingDisk(small / "c", monkeypatch), 0
    for at in range(0, 100_000, step):
        disk.fail(at, error)
        try:
            segstudy.merge(small / "a", small / "b", out=small / "c")
        except UserError:
            failures += 1
        if not disk.mend():
            break
        if (small / "c" / "study.toml").exists():
            assert merged_tree(small / "c") == wanted
        segstudy.merge(small / "a", small / "b", out=small / "c")
        assert merged_tree(small / "c") == wanted
        shutil.rmtree(small / "c")
    assert failures > 5
