"""The command line as a user meets it: exit codes, one clear line for what is wrong, nothing half-written."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import write_dataset

import segstudy

pytestmark = pytest.mark.usefixtures("no_report")

QUICKLY = [
    *("--image-size", "32", "--width", "2", "--epochs", "1", "--batch-size", "4"),
    *("--architecture", "unet", "--loss", "bce", "--executor", "serial"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, with a small data set beside."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "discs", n=12)
    return tmp_path


def test_a_study_from_a_folder_ends_with_leaderboard_and_report(here, call):
    code, out, err = call("run", "discs", "--protocol", "classic", *QUICKLY)
    assert code == 0
    assert "unet-bce-b4" in out
    assert "report.html" in out
    assert "1 run (1 configuration), 0 finished, 1 to train" in err
    assert (here / "discs-classic" / "report.html").is_file()


def test_the_same_command_again_trains_nothing(here, call):
    call("run", "discs", *QUICKLY)
    record = next((here / "discs-classic" / "runs").glob("*/run.json"))
    before = record.stat().st_mtime_ns
    code, _, err = call("run", "discs", *QUICKLY)
    assert code == 0
    assert "1 finished, 0 to train" in err
    assert record.stat().st_mtime_ns == before


def test_a_study_folder_takes_more_losses_and_shows_its_status_and_table(here, call):
    call("run", "discs", *QUICKLY, "--out", "s")
    code, _, err = call("run", "s", "--loss", "dice,combo", "--executor", "serial")
    assert code == 0
    assert "3 runs (3 configurations), 1 finished, 2 to train" in err
    code, out, _ = call("status", "s")
    assert code == 0
    assert "3 of 3 runs finished" in out
    code, out, _ = call("table", "s", "--format", "json")
    rows = json.loads(out)
    assert {row["configuration"] for row in rows} == {"unet-bce-b4", "unet-dice-b4", "unet-combo-b4"}
    scores = [row["validation_iou"] for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_an_error_is_printed_as_it_is_said(here, call):
    """Rich would make a picture of the `:B:` in it."""
    code, _, err = call("compare", "alone")
    assert code == 2
    assert "DIR1:A DIR2:B" in err


def test_what_init_prints_is_a_study_that_runs(here, call):
    code, out, _ = call("init", "discs", "--protocol", "classic", "--seeds", "2")
    (here / "study.toml").write_text(out)
    assert code == 0
    assert "#" in out
    code, _, err = call("plan", "study.toml", *QUICKLY)
    assert code == 0
    code, out, err = call("run", "study.toml", *QUICKLY)
    assert code == 0, err


def test_plan_writes_nothing(here, call):
    before = set(here.rglob("*"))
    code, out, _ = call("plan", "discs", *QUICKLY)
    assert code == 0
    assert "estimate: about" in out
    assert set(here.rglob("*")) == before


def test_a_failed_run_is_listed_and_the_exit_code_is_1(here, call):
    (here / "own.py").write_text("def broken(logits, target):\n    raise RuntimeError('no such luck')\n")
    words = ["run", "discs", *QUICKLY, "--loss", "bce,own.py:broken", "--out", "s"]
    words.remove("bce")
    words.pop(words.index("--loss"))
    code, out, err = call(*words)
    assert code == 1
    assert "unet-own.py:broken-b4" in out + err
    assert "no such luck" in err
    assert call("status", "s")[0] == 1


def test_the_report_shows_no_absolute_path_and_no_user(here, call):
    call("run", "discs", *QUICKLY, "--out", "s")
    call("report", "s")
    page = (here / "s" / "report.html").read_text(encoding="utf-8")
    assert str(here) not in page
    assert str(Path.home()) + "/" not in page


def study_file(text: str):
    def make(folder: Path) -> list[str]:
        (folder / "study.toml").write_text(text)
        return ["study.toml"]

    return make


def changed(change):
    def make(folder: Path) -> list[str]:
        change(folder / "discs")
        return ["discs"]

    return make


def empty(folder: Path) -> list[str]:
    (folder / "nothing").mkdir()
    return ["nothing"]


def unpaired(discs: Path) -> None:
    for mask in (discs / "masks").iterdir():
        mask.rename(mask.with_name("other" + mask.name))


def truncated(discs: Path) -> None:
    file = discs / "images" / "disc03.png"
    file.write_bytes(file.read_bytes()[:300])


def one_pixel(discs: Path) -> None:
    for kind in ("images", "masks"):
        Image.new("L", (1, 1)).save(discs / kind / "disc03.png")


def huge(discs: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(discs / "images" / "disc03.png")


def other_size(discs: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(discs / "masks" / "disc03.png")


def few(discs: Path) -> None:
    for kind in ("images", "masks"):
        for i in range(2, 12):
            (discs / kind / f"disc{i:02}.png").unlink()


def unwritable(folder: Path) -> list[str]:
    (folder / "file").write_text("")
    return ["discs", "--out", "file/study"]


STAGES = {"starting", "finding the images and masks", "reading images and masks", "checking the data"}
WRONG = {
    "missing folder": (lambda _: ["nowhere"], "nowhere: no such folder"),
    "empty folder": (empty, "nothing"),
    "no pairs": (changed(unpaired), "no image with its mask"),
    "corrupt image": (changed(lambda d: (d / "images" / "disc03.png").write_bytes(b"no png")), "disc03.png"),
    "truncated image": (changed(truncated), "disc03.png"),
    "mask of another size": (changed(other_size), "disc03"),
    "1 x 1 image": (changed(one_pixel), "disc03.png"),
    "20,000 x 20,000 image": (changed(huge), "disc03.png"),
    "fewer groups than parts": (changed(few), "2 groups cannot fill 3 parts"),
    "unknown field": (study_file('data = "discs"\n[protocol]\nlearning_rate = 1\n'), "learning_rate"),
    "unknown value": (
        study_file('data = "discs"\n[protocol]\noptimizer = "lion"\n'),
        "'adam', 'adamw' or 'sgd'",
    ),
    "no TOML": (study_file("data = "), "not a TOML file"),
    "a part left empty": (lambda _: ["discs", "--set", "split=98/1/1"], "would be empty"),
    "no split": (lambda _: ["discs", "--set", "split=half"], "50/25/25"),
    "no official parts": (lambda _: ["discs", "--set", "split=official"], "no official parts"),
    "unwritable output": (unwritable, "--out"),
    "unknown architecture": (
        lambda _: ["discs", "--architecture", "vnet"],
        "segnet, unet, unet2, dilated_unet",
    ),
    "unknown loss": (lambda _: ["discs", "--loss", "hinge"], "bce, focal, dice, tversky, combo"),
    "unknown option of a loss": (lambda _: ["discs", "--loss", "focal:beta=1"], "gamma, alpha"),
    "unknown protocol": (lambda _: ["discs", "--protocol", "slow"], "quick, classic, thorough"),
    "unknown --set": (lambda _: ["discs", "--set", "speed=1"], "unknown field 'speed'"),
    "--set without a value": (lambda _: ["discs", "--set", "lr"], "field=value"),
    "too small an image size": (lambda _: ["discs", "--image-size", "16"], "32"),
    "unknown device": (lambda _: ["discs", "--device", "tpu"], "device"),
    "unknown command line option": (lambda _: ["discs", "--speed", "1"], "--speed"),
    "exclude file missing": (lambda _: ["discs", "--exclude", "no.txt"], "no.txt"),
    "two folds": (lambda _: ["discs", "--folds", "2"], "3 or more"),
    "more folds than groups": (lambda _: ["discs", "--folds", "30"], "12 groups cannot fill 30 parts"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_gets_one_line_and_leaves_nothing_behind(here, call, case):
    make, message = WRONG[case]
    words = make(here)
    before = {path for path in here.rglob("*") if ".pytest" not in str(path)}
    code, out, err = call("run", *words)
    *stages, last = [line for line in err.splitlines() if line.strip()]
    assert code == 2, (out, err)
    assert last.startswith("error:")
    assert message in last
    assert set(stages) <= STAGES, "what took a while is said, and nothing else"
    assert "Traceback" not in out + err
    assert set(here.rglob("*")) == before


@pytest.mark.parametrize("command", ["status", "table", "report"])
def test_commands_on_a_folder_that_is_no_study(here, call, command):
    code, _, err = call(command, "discs")
    assert code == 2
    assert "is not a study" in err


def test_check_exits_with_2_on_errors_only(here, call):
    assert call("check", "discs")[0] == 0
    truncated(here / "discs")
    code, out, _ = call("check", "discs")
    assert code == 2
    assert "disc03.png" in out
    code, out, _ = call("check", "discs", "--json")
    assert any(problem["severity"] == "error" for problem in json.loads(out))


def test_more_than_two_hours_are_asked_about(here, call, monkeypatch):
    monkeypatch.setattr("segstudy.study.run.ASK_ABOVE_HOURS", 0.0)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = call("run", "discs", *QUICKLY)
    assert code == 2
    assert "--yes" in err
    assert not (here / "discs-classic").exists()
    assert call("run", "discs", *QUICKLY, "--yes")[0] == 0


def test_help_needs_no_torch():
    script = (
        "import sys; from segstudy.cli.studies import app\n"
        "app(['run', '--help'], result_action='return_value'); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'polars', 'altair', 'kornia')))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_python_has_the_same_functions(here):
    study = segstudy.run(
        "discs",
        image_size=32,
        width=2,
        epochs=1,
        batch_size=4,
        architecture="unet",
        loss=["bce", "dice"],
        executor="serial",
        out="s",
    )
    frame = study.leaderboard()
    assert frame.height == 2
    assert set(study.runs()["configuration"]) == set(frame["configuration"])
    assert segstudy.status("s").num_finished == 2
    assert segstudy.table("s", format="csv").count("\n") >= 2
    with pytest.raises(segstudy.UserError, match="no such folder"):
        segstudy.run("nowhere")
