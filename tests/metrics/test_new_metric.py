"""A new metric is a function and its record: everything that shows metrics follows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from small import write_dataset

pytestmark = pytest.mark.slow  # two runs and a report, in processes of their own

SOURCE = Path(__file__).parents[2] / "src"
RECORD = '    "mcc": Metric(function=overlap.mcc, title="MCC", short="MCC", group=OVERLAP, lowest=-1.0),\n'
FUNCTION = '''

def mcc(c: Confusion) -> float:
    """Matthews correlation coefficient."""
    spread = ((c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)) ** 0.5
    return (c.tp * c.tn - c.fp * c.fn) / spread if spread else _ratio(0, 0, c)
'''
TRAIN = """
import sys
import segstudy
segstudy.run(sys.argv[1], protocol="quick", architecture="unet", loss=sys.argv[3].split(","), seeds=1,
             epochs=1, image_size=32, width=2, executor="serial", out=sys.argv[2])
"""
SHOW = """
import sys
import json
from pathlib import Path
import segstudy
folder, trained, masks, data = sys.argv[1:]
segstudy.score(data, masks, folder, name="other")
shown = {form: segstudy.table(folder, form) for form in ("csv", "text", "markdown", "latex")}
shown |= {"card": segstudy.card(trained), "report": segstudy.report(folder).read_text(encoding="utf-8")}
Path("shown.json").write_text(json.dumps(shown), encoding="utf-8")
"""


def call(source: Path, code: str, *arguments: str | Path, cwd: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def studied(tmp_path_factory) -> Path:
    """A run of a version without MCC and another of one with it, in one study; and what shows them."""
    folder = tmp_path_factory.mktemp("new_metric")
    data = write_dataset(folder / "discs", 24)
    call(SOURCE, TRAIN, data, folder / "study", "dice", cwd=folder)
    (before,) = (folder / "study/runs").iterdir()
    shutil.copytree(SOURCE, folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    overlap = folder / "src/segstudy/metrics/overlap.py"
    overlap.write_text(overlap.read_text(encoding="utf-8") + FUNCTION, encoding="utf-8")
    table = folder / "src/segstudy/metrics/__init__.py"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    lines.insert(lines.index('    "thresholded_jaccard": Metric(\n'), RECORD)
    table.write_text("".join(lines), encoding="utf-8")
    call(folder / "src", TRAIN, data, folder / "study", "dice,bce", cwd=folder)
    (after,) = set((folder / "study/runs").iterdir()) - {before}
    (folder / "before").symlink_to(before)
    (folder / "after").symlink_to(after)
    call(folder / "src", SHOW, folder / "study", after, data / "masks", data, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def shown(studied: Path) -> dict[str, str]:
    return json.loads((studied / "shown.json").read_text(encoding="utf-8"))


def test_a_run_computes_it_at_both_sizes_and_says_so(studied: Path) -> None:
    before, after = (pl.read_parquet(studied / name / "images.parquet") for name in ("before", "after"))
    assert set(after.columns) - set(before.columns) == {"network_mcc", "native_mcc"}
    records = [json.loads((studied / name / "run.json").read_text()) for name in ("before", "after")]
    assert set(records[1]["metrics"]) - set(records[0]["metrics"]) == {"mcc"}


def test_it_is_in_every_form_of_the_leaderboard(shown: dict[str, str]) -> None:
    assert "test_mcc" in shown["csv"].splitlines()[0].split(",")
    for form in ("text", "markdown", "latex"):
        assert "MCC test" in shown[form]
        assert "IoU, Dice and MCC of the foreground" in " ".join(shown[form].split())


def test_it_is_in_the_report_with_its_columns_and_in_the_methods(shown: dict[str, str]) -> None:
    heading = '<th scope="col"><button type="button">MCC</button></th>'
    assert heading in shown["report"]
    assert "IoU, Dice and MCC were computed per image" in shown["report"]


def test_it_is_in_the_model_card(shown: dict[str, str]) -> None:
    assert "\n| MCC | " in shown["card"]


def test_masks_of_another_tool_have_it(shown: dict[str, str]) -> None:
    (line,) = [line for line in shown["csv"].splitlines() if ",other," in line]
    assert float(line.split(",")[shown["csv"].splitlines()[0].split(",").index("test_mcc")]) == 1


def test_a_run_of_before_shows_a_dash_and_is_counted(shown: dict[str, str]) -> None:
    rows = {
        line.split("|")[2].strip(): line.split("|")
        for line in shown["markdown"].splitlines()
        if "unet" in line
    }
    place = shown["markdown"].splitlines()[0].split("|").index(" MCC test ")
    assert rows["unet-dice-b8"][place].strip() == "–"
    assert float(rows["unet-bce-b8"][place]) <= 1
    sentence = "A dash under MCC{}: 1 run trained by a version that did not compute it."
    assert sentence.format(" test") in " ".join(shown["markdown"].split())
    assert sentence.format("") in shown["report"]
