"""The power of a planned study as text and as a page."""

from dataclasses import replace
from pathlib import Path

import pytest
from planned_power import planned

from segstudy.analysis.power_plan import SEEDS
from segstudy.core.errors import UserError
from segstudy.reporting.power_page import refuse_page, write_power_page
from segstudy.reporting.power_text import render


def test_the_text_says_what_is_promised_and_where_variances_come_from() -> None:
    text = render(planned(2, 0.012), 80)
    said = " ".join(text.split())
    assert "with a probability of 80 %, for one pair of configurations, chosen beforehand" in said
    assert "image 0.0260, seed 0.0070, residual 0.0550, training_set 0.0040. From here." in said
    assert "200 test images, 4 folds" in said
    assert "for training sets like these" in said
    assert "To show a difference of 0.012 for the training sets of the study, the cheapest is" in said
    assert max(map(len, text.splitlines())) <= 80


def test_hours_of_a_short_study_are_not_0() -> None:
    text = render(replace(planned(2), sizes=tuple(replace(each, hours=0.01) for each in planned(2).sizes)))
    rows = text.partition("Hours of the whole study")[2].splitlines()
    assert next(row for row in rows if row.startswith("50 test images")).count("< 0.1") == len(SEEDS)


def test_the_page_has_the_chart_and_the_tables_and_replaces_only_its_own(tmp_path: Path) -> None:
    page = tmp_path / "power.html"
    for _ in range(2):
        refuse_page(page)
        write_power_page(planned(3, 0.02), page)
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "<h2>Smallest difference that is shown, for the training sets of the study</h2>" in text
    assert (tmp_path / "power.svg").is_file()
    assert (tmp_path / "power.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "other.html").write_text("<html>mine</html>")
    (tmp_path / "third.png").write_bytes(b"mine")
    for name, said in (
        ("other.html", "not written by plan"),
        ("third.html", "is there already"),
        ("page.svg", "must be a file that ends with .html"),
        ("no/power.html", "there is no folder"),
    ):
        with pytest.raises(UserError, match=said):
            refuse_page(tmp_path / name)
