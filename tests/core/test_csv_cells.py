"""CSV files hold text that spreadsheets do not compute, and it is read back as it was."""

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.core import csv_cells
from segstudy.core.csv_cells import as_cell, of_cell
from segstudy.deploy.predict.measurements import Measures
from segstudy.deploy.predict.table import ClassResult, Prediction, columns, results_in
from segstudy.reporting.tables import render

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@given(st.text())
def test_a_cell_never_begins_as_a_formula_and_is_read_back(text):
    assert not as_cell(text).startswith(BEGINNINGS)
    assert of_cell(as_cell(text)) == text


@given(st.sampled_from(BEGINNINGS), st.integers(0, 3), st.text())
def test_apostrophes_of_its_own_are_kept(beginning, number, rest):
    text = "'" * number + beginning + rest
    assert as_cell(text) == f"'{text}"
    assert of_cell(as_cell(text)) == text


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_leaderboard_neutralises_names_and_leaves_numbers(beginning):
    frame = pl.DataFrame(
        {"configuration": [f'{beginning}HYPERLINK("http://x")', None, "unet"], "behind": [-0.25, None, 1.0]}
    )
    rows = list(csv.DictReader(io.StringIO(render(frame, "csv"), newline="")))
    assert rows[0]["configuration"] == f'\'{beginning}HYPERLINK("http://x")'
    assert [row["configuration"] for row in rows[1:]] == ["", "unet"]
    assert float(rows[0]["behind"]) == -0.25


def test_predictions_are_read_back_as_they_were(tmp_path: Path):
    """A message may begin with anything; what stands in the file is neutral, what is resumed is the text."""
    measures = Measures(1, 0.5, 0, 0, 1, 1, -0.5, 0.0, 1.0, 1, False, 0.9)
    bad = Prediction(tmp_path / "a.png", error="=1+1|cmd")
    fine = Prediction(tmp_path / "b.png", size=(2, 3), found=(ClassResult("@b.png", measures),))
    with results_in(tmp_path / "out", {"threshold": 0.5}) as results:
        for each in (bad, fine):
            results.add(each)
        text = (tmp_path / "out" / "predictions.csv").read_text()
        assert "'=1+1|cmd" in text
        assert ",=1+1" not in text
    for _ in range(2):
        with results_in(tmp_path / "out", {"threshold": 0.5}) as results:
            assert results.rows(bad.image) == bad.rows()
            assert results.rows(fine.image) == fine.rows()
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert tuple(first) == columns()
    assert (first["error"], second["mask"]) == ("'=1+1|cmd", "'@b.png")
    assert float(second["centroid_x_px"]) == -0.5


def test_the_page_neutralises_the_same_beginnings():
    page = Path(csv_cells.__file__).parents[1] / "deploy" / "serving" / "page" / "page.js"
    assert f"/^{csv_cells._FORMULA.pattern}/.test(text)" in page.read_text(encoding="utf-8")
