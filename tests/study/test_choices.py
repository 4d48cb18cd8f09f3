"""Much ahead: the quick first answer is offered, with its time and its command, and what is chosen runs."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small import write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.config import presets
from segstudy.study.choices import command
from segstudy.study.options import described

SMALL = ("--image-size", "64", "--width", "2", "--epochs", "40", "--executor", "serial")


CTRL_C = b"\x03"


@pytest.fixture
def here(tmp_path, monkeypatch, no_report):
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "my discs", n=12)
    monkeypatch.setattr("segstudy.study.run.ASK_ABOVE_HOURS", 0.0)
    small = {"image_size": 64, "width": 4, "epochs": 40}
    monkeypatch.setitem(presets.PRESETS["classic"], "protocol", small)
    quick = {"image_size": 32, "width": 2, "epochs": 1, "lr": 3e-3, "scheduler": "onecycle"}
    monkeypatch.setitem(presets.PRESETS["quick"], "protocol", quick)  # a look of seconds
    for name, value in {"START_S": 0.0, "RUN_S": 0.0}.items():
        monkeypatch.setattr(f"segstudy.study.estimate.{name}", value)
    return tmp_path


def lines_of_commands(text: str) -> list[str]:
    commands = [line.split("#")[0].strip() for line in text.splitlines() if "  # " in line]
    assert all(each.startswith("segstudy run ") for each in commands)
    return commands


def refused(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    return said


@pytest.mark.slow
def test_without_a_terminal_the_commands_are_there_to_paste_each_with_its_time(here, capsys):
    before = set(here.rglob("*"))
    said = refused(capsys, "run", "my discs", "--workers", "1")
    first, quick, whole = lines_of_commands(said)
    assert first == "segstudy run 'my discs' --protocol quick --loss combo --workers 1"
    assert "--loss" not in quick
    assert whole.endswith("--yes")
    assert "--protocol" not in whole
    for number, line in zip((4, 20, 30), [x for x in said.splitlines() if "  # " in x], strict=True):
        assert re.search(rf"{number} runs, about [\d.]+ (s|min|h)$", line), line
    assert re.match(r"error: 30 runs would take about", said.splitlines()[-1])
    assert set(here.rglob("*")) == before
    assert main_ends(shlex.split(first)[1:], "--yes") == 0
    assert len(segstudy.Study("my discs-quick").runs()) == 4
    said = refused(capsys, "run", "my discs", "--workers", "1")
    assert "4 runs, all finished" in said


def main_ends(words: list[str], *more: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words, *more])
    return int(ended.value.code or 0)


def test_a_quick_look_is_at_what_was_asked_for(here, capsys):
    (here / "drop.txt").write_text("disc03\n")
    asked = ("--architecture", "unet,unet:skips=false", "--loss", "bce,dice", "--exclude", "drop.txt")
    said = refused(capsys, "run", "my discs", *asked, "--set", "resize=pad", "--out", "there", "--seeds", "5")
    assert lines_of_commands(said)[0] == (
        "segstudy run 'my discs' --protocol quick --architecture unet,unet:skips=false --loss bce "
        "--exclude drop.txt --resize pad --out there-quick"
    )
    assert "2 runs" in said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_of_a_study_file_or_folder_too(here, capsys, kind):
    source = "study.toml"
    (here / source).write_text(
        segstudy.init("my discs", architecture=["unet"], loss=["bce", "dice"], exclude=["disc05"])
    )
    if kind == "folder":
        assert main_ends(["run", source, *SMALL, "--loss", "bce", "--out", "s", "--yes"]) == 0
        source = "s"
        capsys.readouterr()
    more = ("--loss", "tversky") if kind == "folder" else ()
    said = refused(capsys, "run", source, *more)
    first = lines_of_commands(said)[0]
    words = shlex.split(first)[1:]
    assert main_ends(words, "--yes") == 0
    (folder,) = here.glob("*-quick")
    found = segstudy.Study(folder)
    assert found.config.exclude == ("disc05",)
    assert found.config.protocol.image_size == (32, 32)
    assert found.leaderboard().height == 1


def test_ids_that_no_command_can_say_get_none(here):
    options = {"exclude": ["disc03"], "protocol": "quick"}
    assert command("my discs", options) == ""


def facts(source, options) -> tuple:
    study, folder = described(source, options)
    return set(study.configurations()), study.seeds, study.folds, study.reader, study.name, folder


@pytest.mark.parametrize(
    "options",
    [
        {"loss": ["bce", "combo"], "lr": [0.1, 0.01], "foreground": [1, 2], "image_size": "32x48"},
        {"architecture": "unet:skips=false", "record_test": False, "seeds": 3, "fields": {"steps": [5, 6]}},
        {"image_size": [(32, 48), 64], "folds": 3, "split_seed": 4, "protocol": "thorough", "out": "a b"},
        {"foreground": [[1, 2], [3]], "reader": "folder", "resize": ["pad", "squash"]},
        {"classes": "background=0,disc=1,cup=2", "ignore": 255, "class_weights": [1, 2, 5]},
        {"classes": {"background": 0, "disc": [1, 2]}, "ignore": [254, 255], "class_weights": "balanced"},
        {"classes": ["disc", "cup"], "class_weights": ["none", "balanced", "1+2"]},
    ],
)
def test_a_command_says_what_the_options_say(here, options, monkeypatch):
    """The command line, taken apart again, describes the same study in the same folder."""
    caught = {}

    def run(study, **given):
        caught["study"] = facts(study, given)
        raise segstudy.UserError("caught")

    monkeypatch.setattr("segstudy.run", run, raising=False)
    assert main_ends(shlex.split(command("my discs", options))[1:]) == 2
    assert caught["study"] == facts("my discs", options)


SCRIPT = """
import signal, sys, segstudy.study.run, segstudy.config.presets, segstudy.study.estimate
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts in the background
segstudy.study.run.ASK_ABOVE_HOURS = 0.0
segstudy.study.run.write_report = lambda folder, _: (folder.path / "report.html").touch()
segstudy.study.estimate.TIMING_SECONDS = 0.05
segstudy.study.estimate.START_S = segstudy.study.estimate.RUN_S = 0.0
segstudy.config.presets.PRESETS["classic"]["protocol"] = {"image_size": 64, "width": 4, "epochs": 40}
segstudy.config.presets.PRESETS["quick"]["protocol"] = {"image_size": 32, "width": 2, "epochs": 1}
from segstudy.cli.studies import main
main(sys.argv[1:])
"""


def at_a_terminal(folder: Path, *words: str, answer: bytes, columns: int = 80) -> tuple[int, str]:
    """Run the command line in a pseudo-terminal, answer its question; exit code and all that was shown."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if answer and b"]: " in shown.split(b"choose")[-1] and b"choose" in shown:
            if answer == CTRL_C:  # the terminal is not the child's own: it would send no signal
                process.send_signal(signal.SIGINT)
            else:
                os.write(ours, answer)
            answer = b""
    os.close(ours)
    return process.wait(), shown.decode()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("answer", [b"what\n1\n", b"1\n", b"\n"])
def test_at_a_terminal_it_asks_and_trains_what_is_chosen(here, answer):
    code, shown = at_a_terminal(here, "run", "my discs", "--loss", "bce", "--workers", "1", answer=answer)
    assert code == 0, shown
    assert re.search(r"1  a quick look: 4 runs, about", shown)
    assert "stop" in shown
    assert (here / "my discs-quick" / "report.html").is_file()
    assert not (here / "my discs-classic").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("answer", [CTRL_C, b"3\n", b"\x04"])
def test_whoever_wants_none_of_it_finds_nothing_changed(here, answer):
    before = set(here.rglob("*"))
    code, shown = at_a_terminal(here, "run", "my discs", "--loss", "bce", "--workers", "1", answer=answer)
    assert code == 130, shown
    assert "nothing was trained, and nothing was written" in shown
    assert "Traceback" not in shown
    assert set(here.rglob("*")) == before
