"""Image by image: where configurations disagree, and on what all of them fail."""

import numpy as np
import polars as pl
import pytest
from fake_study import finish, make_study, rewrite, sample_ids

from segstudy.analysis.results import gather
from segstudy.reporting.sections.per_image import per_image

TEST = sample_ids()["test"]
NAMES = ["unet-bce-b8", "unet-dice-b8"]


def study(tmp_path, ious: dict[str, list[float]]):
    """A study in which every configuration has these test IoUs."""
    folder = make_study(tmp_path / "s", ("unet",), ("bce", "dice"))
    for name, values in ious.items():
        key = finish(folder, name, 0.8, 0.8)
        file = folder.runs / key / "images.parquet"
        images = pl.read_parquet(file)
        scored = pl.DataFrame({"id": TEST, "part": "test", "new": values})
        joined = images.join(scored, on=["id", "part"], how="left", maintain_order="left")
        rewrite(file, joined.with_columns(native_iou=pl.coalesce("new", "native_iou")).drop("new"))
    return folder


def test_the_image_they_differ_most_on_stands_first_with_its_best_and_worst(tmp_path):
    first, second = [0.8] * 9, [0.8] * 9
    first[4], second[4] = 0.2, 0.9
    folder = study(tmp_path, {NAMES[0]: first, NAMES[1]: second})
    found = per_image(gather(folder), NAMES, {TEST[4]: "melanoma"}, folder.path / "figures")
    top = found.disputed[0]
    assert (top.id, top.category, top.worst, top.best) == (TEST[4], "melanoma", *NAMES)
    assert (top.lowest, top.median, top.highest) == pytest.approx((0.2, 0.55, 0.9))


def test_an_image_is_hard_where_the_best_of_all_fails(tmp_path):
    first, second = [0.9] * 9, [0.9] * 9
    first[1], second[1] = 0.3, 0.5
    first[2], second[2] = 0.1, 0.7
    folder = study(tmp_path, {NAMES[0]: first, NAMES[1]: second})
    found = per_image(gather(folder), NAMES, {}, folder.path / "figures")
    assert found.hard == ((TEST[1], 0.5),)


def test_the_chart_is_a_file_too(tmp_path):
    folder = study(tmp_path, {key: list(np.linspace(0.2, 0.9, 9)) for key in NAMES})
    found = per_image(gather(folder), NAMES, {}, folder.path / "figures")
    assert (folder.path / "figures" / "per-image-iou.svg").is_file()
    assert (folder.path / "figures" / "per-image-iou.png").is_file()
    assert "unet-dice-b8" in found.chart
    assert (found.num_shown, found.num_all, found.num_images) == (2, 2, 9)


def test_of_many_configurations_the_chart_shows_the_best(tmp_path, monkeypatch):
    folder = study(tmp_path, dict.fromkeys(NAMES, [0.5] * 9))
    monkeypatch.setattr("segstudy.reporting.sections.per_image.MOST", 1)
    found = per_image(gather(folder), NAMES, {}, folder.path / "figures")
    assert (found.num_shown, found.num_all) == (1, 2)
    assert "unet-dice-b8" not in found.chart


def test_before_the_first_run_there_is_nothing(tmp_path):
    folder = make_study(tmp_path / "s")
    assert per_image(gather(folder), NAMES, {}, folder.path / "figures") is None
