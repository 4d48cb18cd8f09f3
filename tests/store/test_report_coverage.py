"""A report says what it covers: one that is stale is found, and written again."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from html import escape, unescape

import fake_study
import pytest
from small import TINY, write_dataset

import segstudy
from segstudy.cli.studies import app
from segstudy.core.atomic_files import write_bytes
from segstudy.core.locks import hold
from segstudy.reporting.page import write_report
from segstudy.store.folder import StudyFolder
from segstudy.store.report_coverage import coverage_now, is_current, staleness, stored_coverage
from segstudy.store.tidying import tidy

GRID = {"architecture": "unet", "batch_size": 4, "executor": "serial"}
# The process ends, without a word, just before a file of the report is written.
KILLED = """
import os, signal, sys, segstudy
from segstudy.core import atomic_files as files
write = files.write_bytes
def killed(file, *data):
    if file.name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(file, *data)
files.write_bytes = killed
from segstudy.reporting.charts import specs as figures
figures.write_bytes = killed
segstudy.run(sys.argv[1], loss=["bce", "dice"], executor="serial")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("stale")
    write_dataset(path / "discs", n=12)
    segstudy.run(path / "discs", out=path / "study", loss="bce", **TINY, **GRID)
    return path


@pytest.fixture
def study(trained, tmp_path):
    """A finished study with its report, the data beside."""
    shutil.copytree(trained, tmp_path / "all")
    return segstudy.Study(tmp_path / "all" / "study")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    folder = fake_study.make_study(tmp_path_factory.mktemp("made-up") / "fake")
    for name in ("segnet-bce-b8", "unet-bce-b8"):
        fake_study.finish(folder, name, 0.8, 0.7)
    write_report(folder)
    return folder.path


@pytest.fixture
def folder(made_up, tmp_path):
    """A study of made-up runs, with its report."""
    return StudyFolder(shutil.copytree(made_up, tmp_path / "fake"))


def page(study):
    return (study.path / "report.html").read_text(encoding="utf-8")


def stale(path):
    return [fault.detail for fault in segstudy.verify(path).faults if fault.state == "stale"]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["leaderboard.csv", "iou-by-seconds.png", "report.html"])
def test_a_run_killed_while_it_writes_the_report_writes_it_the_next_time(study, file):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, study.path, file], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert study.leaderboard().height == 2
    assert "unet-dice-b4" not in page(study)
    assert stale(study.path)[0].startswith("1 run finished since it was written")
    segstudy.run(study.path, executor="serial")
    assert "unet-dice-b4" in page(study)
    assert segstudy.verify(study.path).faults == ()
    assert "unet-dice-b4" in (study.path / "leaderboard.csv").read_text(encoding="utf-8")
    before = (study.path / "report.html").stat().st_mtime_ns
    segstudy.run(study.path, executor="serial")
    assert (study.path / "report.html").stat().st_mtime_ns == before


@pytest.mark.slow
def test_an_interrupted_report_is_written_the_next_time(study, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("segstudy.reporting.page.render", interrupted)
        with pytest.raises(KeyboardInterrupt):
            segstudy.run(study.path, loss=["bce", "dice"], executor="serial")
    assert "unet-dice-b4" not in page(study)
    segstudy.run(study.path, loss=["bce", "dice"], executor="serial")
    assert "unet-dice-b4" in page(study)


def test_a_report_with_pictures_is_replaced_when_one_without_is_asked_for(study):
    assert "data:image/jpeg" in page(study)
    segstudy.run(study.path, executor="serial", images=False)
    assert "data:image/jpeg" not in page(study)
    assert not stale(study.path)
    segstudy.run(study.path, executor="serial")
    assert "data:image/jpeg" in page(study)


@pytest.mark.slow
def test_runs_that_were_copied_there_are_covered_by_the_next_report(study, tmp_path):
    data = study.path.parent / "discs"
    other = segstudy.run(data, out=tmp_path / "other", loss="dice", **TINY, **GRID).path
    for run in (other / "runs").iterdir():
        shutil.copytree(run, study.path / "runs" / run.name)
    assert stale(study.path)
    segstudy.run(study.path, executor="serial")
    assert not stale(study.path)
    assert "1 more run that the study no longer names" in page(study)


def test_a_page_names_the_runs_it_covers(folder):
    covers = json.loads(unescape(re.search(r'name="covers" content="([^"]*)"', page(folder))[1]))
    assert covers["runs"] == sorted(folder.finished())
    assert {"leaderboard.csv", "figures/iou-by-seconds.svg"} <= covers["files"].keys()
    assert is_current(folder, images=True)
    assert not is_current(folder, images=False)


def no_longer_there(folder):
    shutil.rmtree(folder.runs / min(folder.finished()))


def set_aside(folder):
    (folder.path / "quarantine" / "1" / "runs").mkdir(parents=True)
    run = folder.runs / min(folder.finished())
    run.rename(folder.path / "quarantine" / "1" / "runs" / run.name)


CHANGES = {
    "a run more": (lambda f: fake_study.finish(f, "unet-dice-b8", 0.9, 0.9), "1 run finished since"),
    "a run less": (no_longer_there, "1 run that it covers is gone"),
    "a failure": (lambda f: fake_study.fail(f, "unet-dice-b8"), "other runs failed since"),
    "the table is another": (
        lambda f: (f.path / "leaderboard.csv").write_text("rank\n", encoding="utf-8"),
        "leaderboard.csv or a figure",
    ),
    "a figure is gone": (lambda f: next((f.path / "figures").glob("*.svg")).unlink(), ""),
    "a run is set aside": (set_aside, ""),
    "the study is another": (
        lambda f: (f.path / "study.toml").write_text(
            (f.path / "study.toml").read_text().replace("seeds = 1", "seeds = 2")
        ),
        "",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_a_report_is_made_from_makes_it_stale(folder, what):
    change, detail = CHANGES[what]
    assert staleness(folder, stored_coverage(folder)) == ""
    change(folder)
    said = staleness(folder, stored_coverage(folder))
    assert detail in said if detail else said == ""
    assert not is_current(folder, images=True)
    write_report(folder)
    assert is_current(folder, images=True)


@pytest.mark.slow
def test_figures_of_what_is_no_longer_there_go_with_the_next_report(tmp_path):
    folder = fake_study.make_study(tmp_path / "fake", seeds=2)
    names = ("segnet-bce-b8", "unet-bce-b8", "segnet-dice-b8")
    keys = [fake_study.finish(folder, n, 0.8, 0.7, seed=s, noise=0.1) for n in names for s in (0, 1)]
    (folder.path / "figures").mkdir()
    (folder.path / "figures" / "mine.svg").write_text("my own", encoding="utf-8")
    write_report(folder)
    assert (folder.path / "figures" / "critical-difference.svg").is_file()
    shutil.rmtree(folder.runs / keys[-1])
    write_report(folder)
    assert not (folder.path / "figures" / "critical-difference.svg").exists()
    assert (folder.path / "figures" / "mine.svg").is_file()
    assert is_current(folder, images=True)


@pytest.mark.parametrize("name", ["../precious", "/etc/hostname", "figures/../../precious", "study.toml"])
def test_a_page_that_names_other_files_is_not_believed(folder, name):
    (folder.path.parent / "precious").write_text("kept", encoding="utf-8")
    covers = stored_coverage(folder).model_dump(mode="json")
    covers["files"][name] = "0" * 16
    tag = f'name="covers" content="{escape(json.dumps(covers))}"'
    text = re.sub(r'name="covers" content="[^"]*"', lambda _: tag, page(folder))
    (folder.path / "report.html").write_text(text, encoding="utf-8")
    assert stored_coverage(folder) is None
    write_report(folder)
    assert (folder.path.parent / "precious").read_text(encoding="utf-8") == "kept"
    assert folder.exists()


def test_reports_of_older_versions_do_not_say_and_are_no_fault(folder):
    text = re.sub(r'<meta name="covers"[^>]*>', "", page(folder))
    (folder.path / "report.html").write_text(text, encoding="utf-8")
    fake_study.finish(folder, "unet-dice-b8", 0.9, 0.9)
    assert not stale(folder.path)
    assert not is_current(folder, images=True)


def test_while_somebody_is_at_work_no_report_is_called_stale(folder):
    fake_study.fail(folder, "unet-dice-b8")
    with hold(folder.lock, "this study"):
        assert not stale(folder.path)
    assert stale(folder.path)


@pytest.mark.slow
def test_two_reports_at_once_are_both_written(study):
    command = [sys.executable, "-m", "segstudy", "report", str(study.path)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    assert is_current(study.folder, images=True)
    assert not list(study.path.rglob("*.new"))
    assert not study.folder.report_lock.exists()


def test_tidying_leaves_what_a_living_process_writes(folder):
    """A report in a process of its own has its files aside while a run tidies up."""
    script = (
        "import sys, time; from pathlib import Path; from segstudy.core import atomic_files as files\n"
        "replace = Path.replace\n"
        "def slow(self, target):\n"
        "    print('aside', flush=True); sys.stdin.readline(); return replace(self, target)\n"
        "Path.replace = slow\n"
        "files.write_bytes(Path(sys.argv[1]) / 'report.html', b'new')\n"
    )
    command = [sys.executable, "-c", script, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        writer.stdout.readline()
        (aside,) = folder.path.glob("report.html.*.new")
        with hold(folder.lock, "this study"):
            tidy(folder)
        assert aside.exists()
        assert not [f for f in segstudy.verify(folder.path).faults if f.path.name == aside.name]
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.wait() == 0
    assert (folder.path / "report.html").read_bytes() == b"new"


def test_what_a_dead_process_was_writing_is_tidied_away(folder):
    script = (
        "import os, signal, sys; from pathlib import Path; from segstudy.core import atomic_files as files\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_bytes(Path(sys.argv[1]) / 'report.html', b'new')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder.path)], check=False)
    (aside,) = folder.path.glob("report.html.*.new")
    assert [f.state for f in segstudy.verify(folder.path).faults if f.path.name == aside.name] == [
        "incomplete"
    ]
    with hold(folder.lock, "this study"):
        tidy(folder)
    assert not aside.exists()


def test_threads_that_write_one_file_do_not_collide(tmp_path):
    errors = []

    def write(content):
        try:
            for _ in range(50):
                write_bytes(tmp_path / "file", content)
        except Exception as error:  # whatever it is
            errors.append(error)

    threads = [threading.Thread(target=write, args=(bytes([i]) * 4096,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors
    assert len(set((tmp_path / "file").read_bytes())) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_coverage_reads_no_more_than_records(folder):
    assert coverage_now(folder, images=True).files == {}


def verified(capsys, folder, *options):
    """Exit code, and what is said in one line."""
    capsys.readouterr()
    code = app(["verify", str(folder.path), *options], result_action="return_value")
    return code, " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("options", [(), ("--repair",)], ids=["looked at", "repaired"])
def test_a_stale_report_is_a_fault_whose_remedy_is_the_report_command(study, capsys, options):
    (study.path / "leaderboard.csv").write_text("rank\n", encoding="utf-8")
    fault = "stale: report.html: leaderboard.csv or a figure belongs to another report"
    remedy = f"`segstudy report {study.path}` writes the report again"
    code, said = verified(capsys, study, *options)
    assert code == 1
    assert fault in said
    assert said.endswith(f"; {remedy}")
    assert (study.path / "report.html").is_file()


def test_the_remedies_of_a_stale_report_and_of_other_faults_are_both_named(study, capsys):
    (study.path / "runs" / "stranger").mkdir()
    (study.path / "leaderboard.csv").write_text("rank\n", encoding="utf-8")
    remedy = f"`segstudy report {study.path}` writes the report again"
    code, said = verified(capsys, study)
    assert (code, said.endswith(f"--repair` moves the others to quarantine/; {remedy}")) == (1, True)
    code, said = verified(capsys, study, "--repair")
    assert "moved: runs/stranger to quarantine/1/runs/stranger" in said
    assert (code, said.endswith(f"trains again what is missing now; {remedy}")) == (1, True)


def test_scores_that_the_report_does_not_show_yet_are_a_note_and_no_fault(study, tmp_path, capsys):
    data = study.path.parent / "discs"
    masks = shutil.copytree(data / "masks", tmp_path / "tool")
    command = ["score", str(data), str(masks), "--study", str(study.path)]
    assert app(command, result_action="return_value") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(f"the report does not show this yet: `segstudy report {study.path}` writes it again")
    for options in ((), ("--repair",)):
        code, said = verified(capsys, study, *options)
        assert code == 0
        note = f"note: the report does not show tool yet; `segstudy report {study.path}` writes it again"
        assert said == f"{note} 1 run checked: nothing wrong"
    segstudy.report(study.path)
    assert verified(capsys, study) == (0, "1 run checked: nothing wrong")
    (study.path / "leaderboard.csv").write_text("rank\n", encoding="utf-8")
    assert verified(capsys, study)[0] == 1
