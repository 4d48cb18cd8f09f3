"""The table of sections: what the page shows is what its records say, in their order."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fake_study import finish, make_study

from segstudy.reporting import page, sections
from segstudy.reporting.charts import specs
from segstudy.reporting.charts.ranks import bars_of
from segstudy.reporting.page import write_report
from segstudy.reporting.sections import SECTIONS
from segstudy.reporting.sections.cost import _only
from segstudy.reporting.sections.protocol import shared_protocol
from segstudy.stats.ranks import ranking

FOLDER = Path(sections.__file__).parent
SHARED = {"__init__", "base"}


def headings(text: str) -> list[tuple[str, str]]:
    """The id and the heading of each section of a page."""
    found = re.findall(r'<section id="([^"]+)">\s*(?:<h2>(.*?)</h2>)?', text)
    return [(id_, title) for id_, title in found]


def test_each_record_has_its_module_and_its_template_and_each_module_its_record():
    assert {section.name for section in SECTIONS} == {file.stem for file in FOLDER.glob("*.py")} - SHARED
    for section in SECTIONS:
        assert section.values.__module__ == f"segstudy.reporting.sections.{section.name}"
        assert (FOLDER / section.template).is_file()
        assert all((FOLDER / script).is_file() for script in (section.script, section.chart_script) if script)
    named = {section.template for section in SECTIONS}
    assert named == {file.name for file in FOLDER.glob("*.html.j2")}


def test_no_two_sections_share_a_name_or_an_id():
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)
    assert len({section.id for section in SECTIONS}) == len(SECTIONS)
    assert all(re.fullmatch(r"[a-z-]+", section.id) and section.description for section in SECTIONS)


@pytest.mark.parametrize("num_finished", [0, 2])
def test_sections_stand_in_the_order_of_the_table_under_the_titles_of_their_records(tmp_path, num_finished):
    folder = make_study(tmp_path / "study", ("unet",), ("bce", "dice"))
    for loss in ("bce", "dice")[:num_finished]:
        finish(folder, f"unet-{loss}-b8", 0.8, 0.7)
    found = headings(write_report(folder).read_text(encoding="utf-8"))
    shown = {id_ for id_, _ in found}
    assert found == [(section.id, section.title) for section in SECTIONS if section.id in shown]
    assert {"verdict", "data", "leaderboard", "protocol", "again"} <= shown
    assert ({"cost", "losses", "learning", "images", "paper"} <= shown) == bool(num_finished)


def test_a_record_alone_decides_on_heading_order_and_presence(tmp_path, monkeypatch):
    folder = make_study(tmp_path / "study")
    data, rest = SECTIONS[1], [section for section in SECTIONS if section.name not in ("data", "reproduce")]
    renamed = replace(data, id="images-and-masks", title="Images & masks")
    monkeypatch.setattr(page, "SECTIONS", (*rest, renamed))
    found = headings(write_report(folder).read_text(encoding="utf-8"))
    assert found[-1] == ("images-and-masks", "Images &amp; masks")
    assert not {"data", "again"} & {id_ for id_, _ in found}


def test_shared_settings_are_written_as_their_kind_has_them(tmp_path):
    """Classes that count together are no size: ``1+2``, not ``1 × 2``."""
    study = make_study(tmp_path / "study", ("unet",), ("bce",)).study()
    protocol = study.protocol.model_copy(update={"foreground": (1, 2), "image_size": (32, 48)})
    shown = shared_protocol(study.model_copy(update={"protocol": protocol}))
    assert shown["foreground"] == "1+2"
    assert shown["image size"] == "32 × 48"
    assert shown["record test"] in ("yes", "no")


def test_bars_of_a_chart_that_leaves_out_configurations_are_not_drawn_within_each_other():
    found = ranking(np.random.default_rng(0).normal(0.8, 0.01, (6, 60)) + 0.001 * np.arange(60))
    names = [f"net{i}" for i in range(60)]
    assert len(bars_of(found, names)) == len(found.bars) > 3
    first = set(np.argsort(found.mean_ranks, kind="stable")[:10])
    few = bars_of(found, [name if i in first else None for i, name in enumerate(names)])
    order = [names[i] for i in np.argsort(found.mean_ranks, kind="stable")[:10]]
    assert few == [(order[0], order[-1])]  # all ten are within the critical difference


@pytest.mark.parametrize(
    ("cost", "value", "tick"),
    [
        ("num_macs", 14_057_472, "14.1M"),
        ("inference_ms", 0.5, "0.5"),
        ("seconds", 1234.5678, "1,230"),
    ],
)
def test_an_axis_of_one_cost_has_one_rounded_tick(cost, value, tick):
    rows = [
        {"configuration": name, "architecture": "unet", "loss": "bce", "IoU": 0.8, "low": 0.7, "high": 0.9}
        | {cost: value, f"front_{cost}": True}
        for name in ("a", "b")
    ]
    chart = specs.with_rows(specs.pareto_chart(cost, "a cost", _only(rows, cost)), pl.DataFrame(rows), 600)
    axis = specs.svg(chart, "x").partition("X-axis titled 'a cost'")[2].partition("Y-axis")[0]
    assert re.findall(r">([\d.,]+M?)</text>", axis) == [tick]
    assert _only([*rows, {cost: 2 * value}], cost) is None


def test_the_axis_of_iou_names_no_impossible_value():
    rows = [
        {"configuration": name, "architecture": "unet", "loss": "bce", "IoU": iou, "low": 0.0, "high": 1.0}
        | {"seconds": seconds, "front_seconds": True}
        for name, iou, seconds in (("a", 0.1, 10.0), ("b", 0.9, 20.0))
    ]
    chart = specs.with_rows(specs.pareto_chart("seconds", "a cost"), pl.DataFrame(rows), 600)
    axis = specs.svg(chart, "x").partition("Y-axis titled 'test IoU'")[2]
    shown = [float(text.replace("−", "-")) for text in re.findall(r">(−?[01]\.\d+)</text>", axis)]
    assert (min(shown), max(shown)) == (0, 1)
