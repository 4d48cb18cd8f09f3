"""The report: complete, self-contained, safe to share, and right when runs are missing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
import vl_convert
from fake_study import curves, fail, finish, make_study
from PIL import Image

from segstudy.errors import UserError
from segstudy.reporting import figures
from segstudy.reporting.gallery import FALSE_NEGATIVE, FALSE_POSITIVE, PREDICTION, TRUTH, _places, overlaid
from segstudy.reporting.leaderboard import leaderboard
from segstudy.reporting.page import leading, score_tables, verdict, write_report
from segstudy.store import StudyFolder

NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """The real bundle takes a second to build and holds every word there is; one test draws PNG files."""
    monkeypatch.setattr(figures, "scripts", lambda: "const vegaEmbed = () => {};")
    monkeypatch.setattr(vl_convert, "vegalite_to_png", lambda *_, **__: b"")


class Reader(HTMLParser):
    """Tags with their attributes, text outside scripts and styles, and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts, self._inside = "", [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.text += data


def report(folder: StudyFolder, images: bool = True) -> str:
    return write_report(folder, images).read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    return make_study(tmp_path / "study")


def test_the_report_of_a_finished_study_has_everything(folder):
    for name, iou in zip(NAMES, (0.7, 0.8, 0.9, 0.85), strict=True):
        finish(folder, name, iou, iou - 0.1)
    page = Reader(report(folder))
    assert "unet-bce-b8 is highest on validation among 4 configurations: IoU 0.900" in page.text
    assert "no winner is claimed" in page.text
    assert "4 / 5 / 9 images" in page.text
    assert "9 nevus" in page.text
    assert sum(tag == "img" for tag, _ in page.tags) == 2 * 9
    assert sum(attributes.get("class") == "heat" for tag, attributes in page.tags if tag == "table") == 2
    assert (folder.path / "leaderboard.csv").read_text().startswith("rank,configuration,")
    figures_written = {file.name for file in (folder.path / "figures").iterdir()}
    stems = ("learning-curves-iou", "learning-curves-loss", "architecture-by-loss")
    assert figures_written == {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")}


def test_a_study_without_a_finished_run_has_a_report(folder):
    page = Reader(report(folder))
    assert "No run has finished yet." in page.text
    assert "0 of 4 runs finished" in page.text
    assert not any(tag == "img" for tag, _ in page.tags)


def test_a_single_run_makes_a_report(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), epochs=1)
    finish(folder, "unet-bce-b8", 0.9, 0.8)
    assert "unet-bce-b8 is the only configuration with all its runs" in Reader(report(folder)).text


def test_curves_are_drawn_for_every_seed_and_fold(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), seeds=2, folds=3, record_test=False)
    for seed in range(2):
        for fold in range(3):
            finish(folder, "unet-bce-b8", 0.9, 0.8, seed=seed, fold=fold)
    page = Reader(report(folder))
    for seed in range(2):
        for fold in range(3):
            assert f"unet-bce-b8, seed {seed}, fold {fold}" in page.text
    assert "The test part was not looked at during training." in page.text
    assert "3 folds together" in page.text


def test_without_images_no_picture_of_the_data_is_in_the_report(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    assert "data:image" in report(folder)
    page = report(folder, images=False)
    assert "data:image" not in page
    assert "<img" not in page
    assert "This report was written without pictures of the data." in page


def test_a_study_that_lost_its_thumbnails_still_has_a_report(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    (folder.path / "thumbnails.parquet").unlink()
    assert "The study holds no pictures of its data" in Reader(report(folder)).text


def test_names_never_become_markup(tmp_path):
    ids, architecture = HOSTILE + "{:02}", f"{HOSTILE}.py:Net"
    folder = make_study(tmp_path / "study", (architecture,), ("bce", "dice"), ids=ids)
    data = folder.read_json("data.json")
    samples = [{**sample, "category": HOSTILE} for sample in data["samples"]]
    findings = [{"severity": "warning", "kind": HOSTILE, "where": HOSTILE, "detail": HOSTILE}]
    said = {"name": HOSTILE, "terms": HOSTILE, "citation": HOSTILE}
    folder.write_json("data.json", {**data, **said, "samples": samples, "findings": findings})
    finish(folder, f"{architecture}-bce-b8", 0.7, 0.6, ids=ids)
    fail(folder, f"{architecture}-dice-b8", detail=f"</td></script>{HOSTILE}", remedy=HOSTILE)
    page = Reader(report(folder))
    assert page.text.count(HOSTILE) > 10  # shown, as text
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert sum(tag == "script" for tag, _ in page.tags) == 3
    assert {attributes["src"][:5] for tag, attributes in page.tags if tag == "img"} == {"data:"}


def test_the_embedded_specification_cannot_end_its_script(tmp_path):
    architecture = "a<!--<script>.py:Net"
    folder = make_study(tmp_path / "study", (architecture,), ("bce",))
    finish(folder, f"{architecture}-bce-b8", 0.7, 0.6)
    embedded = next(script for script in Reader(report(folder)).scripts if "$schema" in script)
    assert "<" not in embedded
    assert {row["run"] for row in json.loads(embedded)["datasets"]["rows"]} == {f"{architecture}-bce-b8"}


def test_figures_are_saved_as_svg_and_as_png(tmp_path, monkeypatch):
    monkeypatch.undo()
    rows = figures.curve_rows(
        curves(0.8, 0.7, 3, True).with_columns(key=pl.lit("k")), {"k": "a run"}, {"k": 1}
    )
    text = figures.save(figures.curve_grid(rows, "loss"), tmp_path / "curves")
    assert (tmp_path / "curves.svg").read_text() == text
    assert "a run" in text
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 200
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_the_bundle_is_a_script_that_ends_where_it_should(monkeypatch):
    monkeypatch.undo()
    bundle = figures.scripts()
    assert "vegaEmbed" in bundle
    assert "</script" not in bundle
    assert "<!--" not in bundle


def test_nothing_is_loaded_from_anywhere(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    page = Reader(report(folder))
    sources = [a[n] for _, a in page.tags for n in ("src", "href", "srcset", "xlink:href") if a.get(n)]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_a_report_says_nothing_of_the_machine_it_was_written_on(folder, tmp_path):
    finish(folder, NAMES[0], 0.7, 0.6)
    fail(
        folder,
        NAMES[1],
        detail=f"OSError: cannot read '{tmp_path}/pictures/a.png', see C:\\Users\\ann\\b.txt",
    )
    page = report(folder)
    assert str(tmp_path) not in page
    assert "ann" not in re.findall(r"\w+", Reader(page).text)
    assert "cannot read 'a.png', see b.txt" in Reader(page).text
    assert 'data = "pictures"' in Reader(page).text


def test_a_users_own_network_is_named_without_its_folder(tmp_path):
    folder = make_study(tmp_path / "study", (f"{tmp_path}/own.py:Net",), ("bce",))
    finish(folder, "own.py:Net-bce-b8", 0.7, 0.6)
    page = report(folder)
    assert str(tmp_path) not in page
    assert 'architecture = ["own.py:Net"]' in Reader(page).text


def test_drawn_images_are_no_evidence_and_the_report_says_so(tmp_path):
    assert "Drawn images, not evidence." in report(make_study(tmp_path / "a", data="synthetic"))
    assert "Drawn images, not evidence." not in report(make_study(tmp_path / "b"))


def test_failures_stand_with_reason_and_remedy_and_runs_are_counted(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    fail(folder, NAMES[1], reason="out of memory", remedy="fewer workers")
    text = Reader(report(folder)).text
    assert "0 of 1 (out of memory)" in text
    assert "segnet-dice-b8, seed 0" in text
    assert "fewer workers" in text
    assert "3 more configurations have not finished all runs and cannot lead." in text


def test_findings_of_the_check_are_counted_by_severity_and_kind(folder):
    data = folder.read_json("data.json")
    finding = {
        "severity": "warning",
        "kind": "duplicate",
        "where": "/home/ann/p/image01.png",
        "detail": "as image02",
    }
    folder.write_json("data.json", {**data, "findings": [finding] * 30})
    text = Reader(report(folder)).text
    assert "30 × duplicate (warning)" in text
    assert "The first 20 of 30" in text
    assert "ann" not in re.findall(r"\w+", text)


def test_writing_a_report_twice_gives_the_same_bytes(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    first = {file: file.read_bytes() for file in (write_report(folder), *(folder.path / "figures").iterdir())}
    write_report(folder)
    assert all(file.read_bytes() == content for file, content in first.items())


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UserError, match="no study here"):
        write_report(StudyFolder(tmp_path))


def test_an_incomplete_configuration_does_not_lead_a_complete_one(tmp_path):
    folder = make_study(tmp_path / "study", ("segnet", "unet"), ("bce",), seeds=2)
    finish(folder, "unet-bce-b8", 0.9, 0.9)
    frame = leaderboard(folder)
    assert leading(frame)["configuration"] == "unet-bce-b8"
    assert "stands highest so far" in verdict(frame, folder.study())[0]
    assert "not a result" in verdict(frame, folder.study())[1]
    for seed in range(2):
        finish(folder, "segnet-bce-b8", 0.6, 0.6, seed=seed)
    frame = leaderboard(folder)
    assert leading(frame)["configuration"] == "segnet-bce-b8"
    sentence, limits = verdict(frame, folder.study())
    assert sentence.startswith("segnet-bce-b8 is the only configuration with all its runs")
    assert "1 more configuration has not finished" in limits
    assert "One seed" not in limits


def test_score_tables_stand_in_the_originals_order_and_mark_missing_runs():
    def row(architecture, loss, iou, rank, batch_size=8):
        return {
            "architecture": architecture,
            "loss": loss,
            "batch_size": batch_size,
            "validation_iou": iou,
            "test_iou": iou and iou - 0.1,
            "rank": rank,
        }

    rows = [
        row("unet", "dice", 0.9, 1),
        row("unet", "dice", 0.8, 2),  # another factor: the best on validation stands
        row("segnet", "bce", 0.7, None),
        row("mine", "bce", None, None),
        row("unet", "bce", 0.6, 3, batch_size=12),
    ]
    tables = score_tables(rows)
    assert [(t["batch_size"], t["part"]) for t in tables] == [
        (8, "validation"),
        (8, "test"),
        (12, "validation"),
        (12, "test"),
    ]
    first = tables[0]
    assert (first["architectures"], first["losses"]) == (["segnet", "unet"], ["bce", "dice"])
    assert first["squares"] == {
        ("unet", "dice"): {"value": 0.9, "heat": 1.0, "complete": True},
        ("segnet", "bce"): {"value": 0.7, "heat": 0.0, "complete": False},
    }


def test_curve_rows_keep_runs_in_order_and_drop_what_was_not_recorded():
    epochs = pl.concat(
        [
            curves(0.8, 0.7, 3, True).with_columns(key=pl.lit("a")),
            curves(0.6, 0.5, 2, False).with_columns(key=pl.lit("b")),
        ],
        how="diagonal",
    )
    rows = figures.curve_rows(epochs, {"b": "second", "a": "first"}, {"a": 3, "b": 1})
    assert rows["run"].unique(maintain_order=True).to_list() == ["second", "first"]
    counts = {key: len(group) for key, group in rows.group_by("run", "part")}
    assert counts == {
        ("first", "train"): 3,
        ("first", "validation"): 3,
        ("first", "test"): 3,
        ("second", "train"): 2,
        ("second", "validation"): 2,
    }
    assert rows.filter(pl.col("run") == "second")["kept"].unique().to_list() == [1]
    assert rows["IoU"].to_list() == rows["IoU"].round(4).to_list()


def test_worst_median_and_best_never_share_an_image():
    for count in range(30):
        places = _places(count)
        shown = [place for group in ("worst", "median", "best") for place in places[group]]
        assert shown == sorted(set(shown))
        assert set(shown) <= set(range(count))
        assert 0 in shown or count == 0
        assert count - 1 in shown or count == 0


def test_errors_and_outlines_have_their_colours_and_agreement_stays_as_it_was():
    image = np.full((20, 30, 3), 100, np.uint8)
    truth, predicted = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    truth[2:18, 2:20] = predicted[2:18, 10:28] = True
    painted = overlaid(image, truth, predicted)
    assert tuple(painted[10, 15]) == (100, 100, 100)  # in both
    assert tuple(painted[0, 0]) == (100, 100, 100)  # in neither
    assert tuple(painted[10, 2]) == TRUTH
    assert tuple(painted[10, 27]) == PREDICTION
    for place, colour in (((10, 24), FALSE_POSITIVE), ((10, 5), FALSE_NEGATIVE)):
        towards = np.sign(np.array(colour) - 100)
        assert (np.sign(painted[place].astype(int) - 100) == towards).all()


def test_every_option_of_the_protocol_that_is_shared_is_shown_and_no_factor(tmp_path):
    folder = make_study(tmp_path / "study", batch_size=[4, 8])
    shown = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", report(folder)))
    assert shown["image size"] == "32 × 32"
    assert shown["record test"] == "yes"
    assert "batch size" not in shown
