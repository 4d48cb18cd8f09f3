"""Sequential studies: what the looks stop, what is stored, what is shown, and every way to be interrupted.

Runs are made up (``made_up_runs``), but for one study at the end that is really trained.
"""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import polars as pl
import pytest
from fake_study import finish, make_study
from made_up_runs import KilledError, MadeUp
from small import TINY, write_dataset

import segstudy
from segstudy.analysis.changes_after_registration import registered
from segstudy.analysis.configurations import rows_of
from segstudy.analysis.design import design_of
from segstudy.analysis.factor_answers import factor_answers
from segstudy.analysis.factorials import factorials
from segstudy.analysis.looks import doubt_of_end, wrong_look
from segstudy.analysis.results import gather
from segstudy.analysis.seed_plan import NOT_HELPED, SeedPlan
from segstudy.core.errors import Stopped, UserError
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import looks_of
from segstudy.store.preregistration import preregistration
from segstudy.store.verify import verify_folder
from segstudy.study.trackers.terminal import Display
from segstudy.training import loop

CLEAR = {"segnet-bce-b8": 0.70, "unet-bce-b8": 0.85, "unet2-bce-b8": 0.849, "dilated_unet-bce-b8": 0.835}
ARCHITECTURES = ["segnet", "unet", "unet2", "dilated_unet"]
OPTIONS = {"architecture": ARCHITECTURES, "loss": "bce", "executor": "serial", "protocol": "quick", **TINY}
SEQUENTIAL = {"until_settled": True, "seeds": 3, "max_seeds": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("discs") / "set", n=40)


def run(data, folder, **options):
    return segstudy.run(data, out=folder, **{**OPTIONS, **SEQUENTIAL, **options}).folder


@pytest.fixture(scope="module")
def ended(data, tmp_path_factory):
    """A study that ended, with its report; for reading only."""
    with pytest.MonkeyPatch.context() as patch:
        made = MadeUp(CLEAR).patch(patch)
        folder = run(data, tmp_path_factory.mktemp("ended") / "study")
    assert len(made.trained) == len(folder.finished())
    return folder


@pytest.fixture
def copied(ended, tmp_path):
    shutil.copytree(ended.path, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def decisions(folder):
    """looks.json without the times."""
    found = json.loads((folder.path / "looks.json").read_text(encoding="utf-8"))
    for look in found["looks"]:
        del look["begun"], look["taken"]
    return {name: value for name, value in found.items() if name != "seal"}


def test_what_is_beaten_gets_no_more_seeds(ended):
    looks = looks_of(ended)
    assert looks.plan.seeds == [3, 5, 8]
    assert sum(looks.plan.error_shares) == pytest.approx(0.05)
    assert looks.stopped["segnet-bce-b8"] == 1
    assert looks.is_ended
    num_seeds = {row.name: len(row.records) for row in rows_of(ended)}
    assert num_seeds == {name: looks.num_seeds(name) for name in CLEAR}
    assert num_seeds["segnet-bce-b8"] == 3 < num_seeds["unet-bce-b8"]
    assert len(ended.finished()) == sum(num_seeds.values()) < 4 * 8


def test_a_stopped_configuration_is_never_n_of_n(ended):
    stopped = looks_of(ended).stopped
    shown = {
        "text": segstudy.table(ended.path),
        "markdown": segstudy.table(ended.path, "markdown"),
        "latex": segstudy.table(ended.path, "latex"),
    }
    for text in shown.values():
        for name, look in stopped.items():
            line = next(line for line in text.splitlines() if name in line.replace("\\", ""))
            assert f"stopped at look {look}" in line
            assert " of " not in line
    frame = pl.read_csv(ended.path / "leaderboard.csv")
    rows = {row["configuration"]: row for row in frame.iter_rows(named=True)}
    for name, row in rows.items():
        assert row["stopped_at_look"] == stopped.get(name)
        assert (row["rank"] is None) == (name in stopped)
        assert row["among_best"] == (name not in stopped)
        assert (row["beaten_by"] is not None) == (name in stopped)
    page = (ended.path / "report.html").read_text(encoding="utf-8")
    assert "3, stopped at look 1" in page
    assert "have not finished all runs" not in page


def test_status_report_and_methods_say_how_it_ended(ended):
    said = segstudy.status(ended.path)
    assert said.looks[0].startswith("Sequential study, looks planned at 3, 5 and 8 seeds: after look")
    assert any("segnet-bce-b8 stopped at look 1 (3 seeds)" in each for each in said.looks)
    assert said.num_left == said.num_unnamed == 0
    page = (ended.path / "report.html").read_text(encoding="utf-8")
    assert "looks at test decided which got more seeds" in page
    assert "nothing was chosen by test" not in page
    assert "The study was sequential: looks at the test scores were planned after 3, 5 and 8 seeds." in page
    assert "sequential with 3 to 8 seeds" in page
    assert "segstudy run study.toml --until-settled --seeds 3 --max-seeds 8" in page
    assert not [each for each in verify_folder(ended).faults if each.path.parts[0] != "runs"]


def test_stopped_configurations_are_left_out_of_factors_as_stopped_not_as_incomplete(ended):
    design, stopped = design_of(gather(ended)), looks_of(ended).stopped
    assert stopped
    assert set(design.stopped) == set(stopped)
    assert not design.incomplete
    notes = " ".join(factor_answers(design, factorials(design)).notes)
    assert f"{len(stopped)} configurations were stopped at a look, and have no part in this section." in notes
    assert "not all runs" not in notes


def test_the_plan_of_looks_is_preregistered(ended):
    found = preregistration(ended)
    assert found.looks == looks_of(ended).plan.model_dump(mode="json")
    assert registered(ended).changes == ()
    assert "looks at 3, 5 and 8 seeds" in registered(ended).text


def test_the_answers_are_those_of_the_looks(ended):
    looks, frame = looks_of(ended), segstudy.Study(ended.path).leaderboard()
    for row in frame.iter_rows(named=True):
        result = looks.results[row["configuration"]]
        assert row["to_best_high"] == result.high
        share = next(look.error_share for look in reversed(looks.looks) if result in look.results)
        adjusted = row["p_excluded"]
        assert (adjusted < 0.05) == result.stopped, (adjusted, share)


def test_a_study_that_ended_trains_nothing_and_stays(copied, data, monkeypatch):
    made, before = MadeUp({}).patch(monkeypatch), (copied.path / "looks.json").read_bytes()
    segstudy.run(copied.path, executor="serial")
    run(data, copied.path)
    assert not made.trained
    assert (copied.path / "looks.json").read_bytes() == before


def killed_while_writing(monkeypatch, number, after):
    """The process is gone at the given write of looks.json, before or after it."""
    from segstudy.study import until_settled

    write, count = until_settled.write_looks, iter(range(100))

    def cut_off(folder, looks):
        here = next(count) == number
        if here and not after:
            raise KilledError
        write(folder, looks)
        if here:
            raise KilledError

    monkeypatch.setattr(until_settled, "write_looks", cut_off)


QUICK = [("runs", 5), ("before looks", 1), ("after looks", 1), ("after looks", 2)]
OTHERS = [("runs", n) for n in (0, 1, 8, 9, 10)] + [("before looks", n) for n in (0, 2, 3)]


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    "moment", [*QUICK, *(pytest.param(each, marks=pytest.mark.slow) for each in OTHERS)], ids=str
)
def test_killed_at_any_moment_it_comes_to_the_same_decisions(ended, data, tmp_path, monkeypatch, moment):
    folder, (what, number) = StudyFolder(tmp_path / "study"), moment
    with monkeypatch.context() as patch:
        made = MadeUp(CLEAR).patch(patch)
        if what == "runs":
            made.killed_after = number
        else:
            killed_while_writing(patch, number, what.startswith("after"))
        with pytest.raises(KilledError):
            run(data, folder.path)
    stored = len(folder.finished())
    made = MadeUp(CLEAR).patch(monkeypatch)
    run(data, folder.path)
    assert decisions(folder) == decisions(ended)
    assert folder.finished() == ended.finished()
    assert len(made.trained) == len(ended.finished()) - stored


def test_ctrl_c_and_hours_stop_it_and_it_goes_on(ended, data, tmp_path, no_report, monkeypatch):
    folder, made = StudyFolder(tmp_path / "study"), MadeUp(CLEAR).patch(monkeypatch)
    made.interrupted_after = 3
    with pytest.raises(Stopped, match=r"3 of 32 runs finished; continue with: segstudy run"):
        run(data, folder.path)
    made.interrupted_after = None
    lines = said(monkeypatch)
    segstudy.run(folder.path, executor="serial", max_hours=1e-9)
    assert "none was taken yet. The hours are over; what was trained is saved." in lines[-1]
    assert len(made.trained) == 3
    with monkeypatch.context() as patch:
        patch.setattr("segstudy.study.run.seconds_of", lambda *_: 7200.0)
        segstudy.run(folder.path, executor="serial", max_hours=1)
    assert "Its runs would take about 2.0 h, more than is left." in lines[-1]
    assert len(looks_of(folder).looks) == 1
    frame = segstudy.Study(folder.path).leaderboard()
    assert frame["rank"].drop_nulls().len() == 4 - len(looks_of(folder).stopped)  # the answers of look 1
    segstudy.run(folder.path, executor="serial")
    assert decisions(folder) == decisions(ended)
    assert any(line.startswith("look 1 (3 seeds): segnet-bce-b8") for line in lines)


@pytest.mark.slow
def test_another_process_may_have_gone_on_meanwhile(ended, data, tmp_path, no_report, monkeypatch):
    """The looks of the process that held the lock before are read again, not replaced."""
    from segstudy.study import run as engine

    folder, hold = StudyFolder(tmp_path / "study"), engine.hold
    MadeUp(CLEAR).patch(monkeypatch)

    def go_on_first(*arguments):
        monkeypatch.setattr(engine, "hold", hold)
        run(data, folder.path)
        times.append((folder.path / "looks.json").read_bytes())
        return hold(*arguments)

    times = []
    monkeypatch.setattr(engine, "hold", go_on_first)
    run(data, folder.path)
    assert (folder.path / "looks.json").read_bytes() == times[0]
    assert decisions(folder) == decisions(ended)


def test_the_looks_are_written_before_study_toml(data, tmp_path, monkeypatch):
    def killed(*_):
        raise KilledError

    monkeypatch.setattr("segstudy.study.run.write_plan", killed)
    with pytest.raises(KilledError):
        run(data, tmp_path / "study")
    assert [file.name for file in (tmp_path / "study").glob("*.json")] == ["looks.json"]
    assert not (tmp_path / "study" / "study.toml").exists()


def said(monkeypatch):
    lines = []
    monkeypatch.setattr(Display, "say", lambda _self, text: lines.append(text))
    return lines


def test_a_failed_configuration_is_left_out_and_counted(data, tmp_path, no_report, monkeypatch):
    means = {name: mean for name, mean in CLEAR.items() if name != "unet2-bce-b8"}
    MadeUp(means).patch(monkeypatch)
    lines = said(monkeypatch)
    folder = run(data, tmp_path / "study")
    looks = looks_of(folder)
    assert looks.is_ended
    assert looks.looks[0].left_out == ["unet2-bce-b8"]
    named = "1 left out because of failed runs (unet2-bce-b8)"
    assert named in next(line for line in lines if line.startswith("look 1 "))
    assert f"1 of 4 configurations is left, {named}." in segstudy.status(folder.path).looks[0]
    row = next(row for row in rows_of(folder) if row.name == "unet2-bce-b8")
    assert row.stopped is None
    assert not row.complete
    assert {failure.seed for failure in row.failures} == {0, 1, 2}  # no more seeds for it
    assert "1 configuration has not finished all runs" in " ".join(verdict_of(folder).limits)
    assert segstudy.status(folder.path).num_left == 3  # the failed ones, no seeds of later looks


def test_a_failed_configuration_comes_back_when_its_runs_are_there(ended):
    """Left out at look 1: it has the seeds of look 1 until these are finished, then those of look 2."""
    looks = looks_of(ended)
    first = looks.looks[0]
    results = [each for each in first.results if each.name != "unet2-bce-b8"]
    out = first.model_copy(update={"results": results, "left_out": ["unet2-bce-b8"]})
    begun = looks.looks[1].model_copy(update={"taken": None, "results": []})
    plan = SeedPlan(looks.model_copy(update={"looks": [out, begun]}))
    runs = [SimpleNamespace(seed=seed, key=str(seed)) for seed in range(8)]
    seeds = {
        finished: len(plan.needed("unet2-bce-b8", runs, [str(seed) for seed in range(finished)]))
        for finished in (0, 2, 3, 4, 5)
    }
    assert seeds == {0: 3, 2: 3, 3: 5, 4: 5, 5: 5}


def verdict_of(folder):
    from segstudy.reporting.page import read_report_data

    return read_report_data(folder, images=False).answers


def test_an_end_because_of_a_collapsed_run_is_said_with_that_run(ended, tmp_path):
    looks = looks_of(ended)
    last = looks.looks[-1].model_copy(update={"conclusion": NOT_HELPED})
    plan = SeedPlan(looks.model_copy(update={"looks": [*looks.looks[:-1], last]}))
    folder = make_study(tmp_path / "collapsed", ("unet",), ("bce", "dice"), seeds=3)
    names = ["unet-bce-b8", "unet-dice-b8"]
    for name in names:
        for seed in range(3):
            collapses = name == "unet-dice-b8" and seed == 2
            finish(folder, name, 0.8, 0.1 if collapses else 0.8 + 0.01 * seed, seed=seed, noise=0.05)
    results = gather(folder)
    assert not list(doubt_of_end(results, names))  # its seeds are fixed
    (said,) = doubt_of_end(replace(results, seed_plan=plan), names)
    assert "collapse as often as so far (1 of 3 of unet-dice-b8)" in said
    assert not list(doubt_of_end(replace(results, seed_plan=plan), names[:1]))


def test_no_look_without_two_configurations(data, tmp_path, no_report, monkeypatch):
    MadeUp({"unet-bce-b8": 0.8}).patch(monkeypatch)
    lines = said(monkeypatch)
    folder = run(data, tmp_path / "study")
    assert "It cannot be taken: fewer than two configurations have all their runs." in lines[-1]
    assert not looks_of(folder).taken


def test_with_folds_a_seed_is_all_its_folds(data, tmp_path, no_report, monkeypatch):
    MadeUp(CLEAR).patch(monkeypatch)
    folder = run(data, tmp_path / "study", folds=3, split="all", architecture=["segnet", "unet"])
    looks = looks_of(folder)
    assert looks.stopped == {"segnet-bce-b8": 1}
    assert looks.looks[0].conclusion == "one is left"
    assert len(folder.finished()) == 2 * 3 * 3
    power = segstudy.power(segstudy.plan(folder.path, executor="serial"))
    assert power.present.seeds == 3  # it stopped at look 1; study.toml has the 8 seeds of the last look
    said = verdict_of(folder)
    assert said.winner == "unet-bce-b8"
    assert "it wins" in said.verdict
    assert "only configuration that is left" in said.verdict
    assert said.optimism == said.resolution == ""  # what was stopped competed too, with fewer seeds
    assert any("divided among the looks (0.70, 1.25 and 3.05 %)" in each for each in said.limits)


def test_between_looks_there_is_no_result(data, tmp_path, no_report, monkeypatch):
    made = MadeUp(CLEAR).patch(monkeypatch)
    made.killed_after = 14
    with pytest.raises(KilledError):
        run(data, tmp_path / "study")
    said = verdict_of(StudyFolder(tmp_path / "study"))
    assert said.winner is None
    assert "Between two looks there is no result." in said.limits
    assert any("segnet-bce-b8 stopped at look 1" in each for each in said.limits)


def test_lost_looks_are_made_again_and_altered_ones_refused(copied, ended, no_report, monkeypatch):
    made = MadeUp(CLEAR).patch(monkeypatch)
    file = copied.path / "looks.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"stopped": true', '"stopped": false', 1), encoding="utf-8")
    for call in (segstudy.status, segstudy.table, lambda path: segstudy.run(path, executor="serial")):
        with pytest.raises(UserError, match=r"looks.json: altered .* or delete it: `segstudy run` writes it"):
            call(copied.path)
    assert [each.path.name for each in verify_folder(copied).faults if each.path.parts[0] != "runs"] == [
        "looks.json"
    ]
    file.unlink()
    assert [f.path.name for f in verify_folder(copied).faults if f.path.parts[0] != "runs"] == ["looks.json"]
    with pytest.raises(UserError, match=r"looks.json: missing, .*`segstudy run .*` writes it again"):
        segstudy.table(copied.path)
    segstudy.run(copied.path, executor="serial")
    assert decisions(copied) == decisions(ended)
    assert not made.trained


def test_looks_that_do_not_follow_from_the_runs_are_refused(copied, no_report, monkeypatch):
    from segstudy.store.looks import write_looks

    MadeUp(CLEAR).patch(monkeypatch)
    assert wrong_look(copied) is None
    looks = looks_of(copied)
    result = looks.looks[0].results[0]
    looks.looks[0].results[0] = result.model_copy(update={"stopped": not result.stopped})
    write_looks(copied, looks)
    before = (copied.path / "looks.json").read_bytes()
    assert wrong_look(copied) == 1
    with pytest.raises(UserError, match="look 1 does not follow from the stored runs; restore it"):
        segstudy.run(copied.path, executor="serial")
    assert (copied.path / "looks.json").read_bytes() == before


def all_files(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_looks_of_another_arithmetic_are_refused_before_anything_is_trained(
    copied, tmp_path, no_report, monkeypatch
):
    """After an update that changes keys, the looks would not fit the runs that are trained again."""
    made = MadeUp(CLEAR).patch(monkeypatch)
    before, shown = all_files(copied), segstudy.table(copied.path)
    monkeypatch.setattr(loop, "NUMERICS", loop.NUMERICS + 1)
    for call in (lambda: segstudy.run(copied.path, executor="serial"), lambda: segstudy.plan(copied.path)):
        with pytest.raises(UserError, match="look 1 compared other runs than those planned now") as refused:
            call()
    assert "\n" not in str(refused.value)
    assert not made.trained
    assert (all_files(copied), segstudy.table(copied.path)) == (before, shown)
    again = re.search(r"segstudy run (\S+/study.toml) (--until-settled .*) --out NEW", str(refused.value))
    assert again[2] == "--until-settled --seeds 3 --max-seeds 8"
    segstudy.run(again[1], out=tmp_path / "new", **SEQUENTIAL)
    new = len(made.trained)
    assert new == len(StudyFolder(tmp_path / "new").finished()) > 0
    (copied.path / "looks.json").unlink()
    segstudy.run(copied.path, executor="serial")
    assert looks_of(copied).is_ended
    assert len(copied.finished()) == sum(path.name == "run.json" for path in before) + len(made.trained) - new


def test_looks_of_runs_that_were_trained_again_are_refused(copied, no_report, monkeypatch):
    made = MadeUp(CLEAR).patch(monkeypatch)
    file = copied.path / "looks.json"
    old = file.read_bytes()
    monkeypatch.setattr(loop, "NUMERICS", loop.NUMERICS + 1)
    file.unlink()
    segstudy.run(copied.path, executor="serial")
    num_trained = len(made.trained)
    file.write_bytes(old)
    with pytest.raises(UserError, match="look 1 compared other runs than those planned now"):
        segstudy.run(copied.path, executor="serial")
    assert len(made.trained) == num_trained
    (fault,) = [each for each in segstudy.verify(copied.path).faults if each.path.name == "looks.json"]
    assert fault.detail.startswith("look 1 does not follow from the runs; restore it from a copy")
    again = segstudy.verify(copied.path, repair=True).faults
    assert [each.path.name for each in again if each.path.name == "looks.json"] == ["looks.json"]
    assert file.read_bytes() == old


REFUSED = {
    "max_hours needs it": ({"max_hours": 1.0}, "--max-hours needs --until-settled"),
    "max_seeds needs it": ({"max_seeds": 5}, "--max-seeds needs --until-settled"),
    "two seeds": ({**SEQUENTIAL, "seeds": 2}, "--seeds must be 3 or more with --until-settled, got 2"),
    "no look after the first": ({**SEQUENTIAL, "seeds": 8}, "--max-seeds must be above the 8 seeds"),
    "no hours": ({**SEQUENTIAL, "max_hours": 0.0}, "--max-hours must be above 0, got 0"),
    "one configuration": (
        {**SEQUENTIAL, "architecture": "unet"},
        "--until-settled needs two configurations or more",
    ),
    "other test images": (
        {**SEQUENTIAL, "split_seed": [0, 1]},
        "split_seed has 2 values: --until-settled compares all configurations on the same test images",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_before_anything_is_written(data, tmp_path, case):
    options, message = REFUSED[case]
    with pytest.raises(UserError, match=re.escape(message)):
        segstudy.run(data, out=tmp_path / "study", **{**OPTIONS, **options})
    assert not (tmp_path / "study").exists()


CHANGED = {
    "fixed": ({}, "is a sequential study"),
    "first look": ({**SEQUENTIAL, "seeds": 4}, "--seeds must be 3, got 4"),
    "last look": ({**SEQUENTIAL, "max_seeds": 9}, "--max-seeds must be 8, got 9"),
    "protocol": ({**SEQUENTIAL, "epochs": 3}, "its looks were planned for the study as it was"),
    "a loss": ({**SEQUENTIAL, "loss": "dice"}, "its looks were planned for the study as it was"),
    "margin": ({**SEQUENTIAL, "margin": 0.02}, "its looks were planned for the study as it was"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_sequential_study_cannot_be_changed(copied, data, case):
    options, message = CHANGED[case]
    before = (copied.path / "looks.json").read_bytes()
    with pytest.raises(UserError, match=re.escape(message)):
        segstudy.run(data, out=copied.path, **{**OPTIONS, **options})
    assert (copied.path / "looks.json").read_bytes() == before


def test_a_study_with_fixed_seeds_cannot_become_sequential(data, tmp_path, no_report, monkeypatch):
    MadeUp(CLEAR).patch(monkeypatch)
    folder = segstudy.run(data, out=tmp_path / "study", **OPTIONS).folder
    with pytest.raises(UserError, match="was begun as a study with fixed seeds; looks must be planned"):
        run(data, folder.path)
    assert not (folder.path / "looks.json").exists()
    assert "stopped_at_look" not in segstudy.Study(folder.path).leaderboard().columns


def test_plan_counts_no_run_of_what_was_stopped(copied, data):
    made, missing, ahead, _ = segstudy.plan(copied.path)
    assert {run.key for run in made.runs} == copied.finished()
    assert not missing
    assert ahead.num_runs == 0
    with pytest.raises(UserError, match="is a sequential study"):
        segstudy.plan(data, out=copied.path, **OPTIONS)


def test_a_comparison_of_two_says_that_it_is_not_adjusted(copied):
    found = segstudy.compare(str(copied.path), "unet-bce-b8", "segnet-bce-b8")
    assert found.sentence.endswith(
        "The study is sequential: this comparison alone is not adjusted for its looks."
    )
    assert found.as_dict()["is_sequential"]


def test_no_configuration_is_removed_from_it(copied):
    with pytest.raises(UserError, match="none of them can be removed"):
        segstudy.remove(copied.path, "segnet-bce-b8", yes=True)
    assert copied.finished()


def contents(folder):
    files = [path for path in folder.path.glob("runs/*/*") if path.name != "run.json"]
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_trained_study_is_interrupted_and_comes_to_the_same_bytes(data, tmp_path, no_report):
    """The one study here that is really trained; its time is up after its first epoch."""
    options = {**OPTIONS, **SEQUENTIAL, "architecture": ["segnet", "unet"], "max_seeds": 4, "threads": 1}
    whole = segstudy.run(data, out=tmp_path / "whole", **options).folder
    cut = segstudy.run(data, out=tmp_path / "cut", **options, max_hours=1e-9).folder
    assert len(cut.begun() | cut.finished()) <= 1
    assert not looks_of(cut).taken
    segstudy.run(cut.path, executor="serial", threads=1)
    assert decisions(cut) == decisions(whole)
    assert contents(cut) == contents(whole)
    assert not segstudy.verify(cut.path).faults


def test_the_choice_has_no_estimate_of_optimism(ended):
    """What was stopped competed too, with fewer seeds: an estimate from the others would be too low."""
    from segstudy.analysis.optimism import choice_warning
    from segstudy.analysis.results import gather

    results = gather(ended)
    assert list(choice_warning(results, [row.name for row in results.trained if row.complete])) == []
    assert "too high" not in " ".join(verdict_of(ended).limits).replace("too high by up to .002", "")
