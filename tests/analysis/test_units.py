"""Groups are the units of every interval: said where they are, and ends of intervals are possible scores."""

import json

import fake_study
import numpy as np
import pytest

import segstudy
from segstudy.analysis.formatting import counted_images
from segstudy.cli.formatting import render_comparison
from segstudy.evaluation.summary import summarise
from segstudy.reporting.page import write_report
from segstudy.stats.intervals import score_interval


@pytest.fixture
def grouped(tmp_path):
    """A made-up study of 9 test images of 3 patients."""
    folder = fake_study.make_study(tmp_path / "study", ("segnet", "unet"), ("bce",))
    data = json.loads((folder.path / "data.json").read_text())
    data["samples"] = [{**s, "group": f"p{int(s['id'][-2:]) % 3}"} for s in data["samples"]]
    folder.write_json("data.json", data)
    for name, mean in (("segnet-bce-b8", 0.99), ("unet-bce-b8", 0.7)):
        fake_study.finish(folder, name, mean, mean, noise=0.05)
    return folder


def test_compare_and_report_say_how_many_groups_the_images_are_of(grouped):
    found = segstudy.compare(str(grouped.path), "segnet-bce-b8", "unet-bce-b8")
    assert "3 groups (9 images)" in render_comparison(found).splitlines()[0]
    assert "One seed and 3 groups (9 test images)" in write_report(grouped).read_text(encoding="utf-8")


def test_patients_are_called_patients(grouped):
    grouped.write_json(
        "data.json", {**json.loads((grouped.path / "data.json").read_text()), "group_noun": "patient"}
    )
    found = segstudy.compare(str(grouped.path), "segnet-bce-b8", "unet-bce-b8")
    assert "3 patients (9 images)" in render_comparison(found).splitlines()[0]
    page = write_report(grouped).read_text(encoding="utf-8")
    assert "One seed and 3 patients (9 test images)" in page
    assert "of 3 patients (never divided between subsets)" in page


def test_images_alone_are_counted_alone():
    assert counted_images(9, 9) == "9 images"
    assert counted_images(1, 4, "test image") == "1 group (4 test images)"


def test_table_compare_and_score_give_one_interval_within_what_a_score_can_be(grouped):
    (row,) = segstudy.Study(grouped.path).leaderboard().filter(configuration="segnet-bce-b8").to_dicts()
    found = segstudy.compare(str(grouped.path), "segnet-bce-b8", "unet-bce-b8").a.test_iou
    assert (row["test_iou_low"], row["test_iou_high"]) == (found.low, found.high)
    assert found.high == 1.0
    images = grouped.images(sorted(grouped.finished()))
    keys = {record.name: record.key for record in grouped.run_records(grouped.finished())}
    groups = {s["id"]: s["group"] for s in json.loads((grouped.path / "data.json").read_text())["samples"]}
    for name in ("segnet-bce-b8", "unet-bce-b8"):
        (row,) = segstudy.Study(grouped.path).leaderboard().filter(configuration=name).to_dicts()
        mine = images.filter(key=keys[name]).with_columns(seed=0)
        score = summarise(mine, groups)["test"]["iou"]
        assert (score["low"], score["high"]) == pytest.approx((row["test_iou_low"], row["test_iou_high"]))


def test_an_interval_of_pixels_has_no_upper_end(grouped):
    found = score_interval(np.array([[0.1, 9.0, 2.0]]), highest=np.inf)
    assert found.low == 0
    assert found.high > 9
