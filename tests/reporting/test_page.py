"""The report: complete, self-contained, safe to share, and right when runs are missing."""

import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest
import vl_convert
from fake_study import curves, fail, finish, make_study, sample_ids, scores, write_thumbnails
from PIL import Image
from rendered_once import render_again

from segstudy.analysis.confidence_set import Contender
from segstudy.analysis.configurations import rows_of
from segstudy.analysis.leaderboard import leaderboard
from segstudy.core.errors import UserError
from segstudy.reporting.charts import ranks, specs
from segstudy.reporting.page import read_report_data, write_report
from segstudy.reporting.sections import certainty
from segstudy.reporting.sections.cost import pareto_front
from segstudy.reporting.sections.external import baseline_scores
from segstudy.reporting.sections.heat_map import Square, score_tables, squares_of
from segstudy.reporting.sections.leaderboard import leaderboard_table, leading
from segstudy.reporting.sections.learning_curves import Curves, long_rows, panels, read_curves
from segstudy.stats.best import AgainstBest
from segstudy.store.folder import StudyFolder

NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """The real bundle takes a second to build and holds every word there is; one test draws PNG files."""
    monkeypatch.setattr(specs, "scripts", lambda: "const vegaEmbed = () => {};")
    monkeypatch.setattr(vl_convert, "svg_to_png", lambda *_, **__: b"")


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
    assert "unet-bce-b8 is highest on validation among 4 configurations" in page.text
    assert "no winner is claimed" in page.text
    assert "4 / 5 / 9 images" in page.text
    assert "9 nevus" in page.text
    assert sum(tag == "img" for tag, _ in page.tags) == 3 * 9  # photo, truth and prediction
    assert sum(attributes.get("class") == "heat" for tag, attributes in page.tags if tag == "table") == 2
    assert (folder.path / "leaderboard.csv").read_text().startswith("rank,configuration,")
    written = {file.name for file in (folder.path / "figures").iterdir()}
    stems = {
        "learning-curves-iou",
        "learning-curves-loss",
        "architecture-by-loss",
        *(f"iou-by-{cost}" for cost in ("macs", "parameters", "inference-ms", "seconds")),
    }
    assert stems <= {name.split(".")[0] for name in written}
    assert written == {f"{name.split('.')[0]}.{kind}" for name in written for kind in ("svg", "png")}


def test_a_study_without_a_finished_run_has_a_report(folder):
    page = Reader(report(folder))
    assert "No run has finished yet." in page.text
    assert "0 of 4 runs finished" in page.text
    assert not any(tag == "img" for tag, _ in page.tags)


def test_a_single_run_makes_a_report(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), epochs=2)
    finish(folder, "unet-bce-b8", 0.9, 0.8)
    assert "unet-bce-b8 is the only configuration with all its runs" in Reader(report(folder)).text


def test_curves_are_drawn_for_every_seed_and_fold(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), seeds=2, folds=3, record_test=False)
    forms = [f"fold{fold}-{{:02}}" for fold in range(3)]  # every fold tests on images of its own
    parts = [sample_ids(form) for form in forms]
    splits = [{"split": "auto", "split_seed": 0, "fold": n, **each} for n, each in enumerate(parts)]
    folder.write_json("split.json", {"splits": splits})
    write_thumbnails(folder, [i for each in parts for i in each["test"]])
    for seed in range(2):
        for fold, form in enumerate(forms):
            finish(folder, "unet-bce-b8", 0.9, 0.8, seed=seed, fold=fold, ids=form)
    page = Reader(report(folder))
    drawn = json.loads(next(script for script in page.scripts if script.startswith("{")))["curves"]["runs"]
    assert [run["name"] for run in drawn] == [
        f"unet-bce-b8, seed {seed}, fold {fold}" for seed in range(2) for fold in range(3)
    ]
    assert "The test subset was not looked at during training." in page.text
    assert "each as predicted in the fold that tested it" in page.text


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
    assert "The study holds no pictures of tested images" in Reader(report(folder)).text


def test_names_never_become_markup(tmp_path):
    ids, architecture = HOSTILE + "{:02}", f"{HOSTILE}.py:Net"
    folder = make_study(tmp_path / "study", (architecture,), ("bce", "dice"), ids=ids)
    data = json.loads((folder.path / "data.json").read_text())
    samples = [{**sample, "category": HOSTILE} for sample in data["samples"]]
    findings = [{"severity": "warning", "kind": HOSTILE, "where": HOSTILE, "detail": HOSTILE}]
    said = {"name": HOSTILE, "terms": HOSTILE, "citation": HOSTILE}
    folder.write_json("data.json", {**data, **said, "samples": samples, "findings": findings})
    finish(folder, f"{architecture}-bce-b8", 0.7, 0.6, ids=ids)
    fail(folder, f"{architecture}-dice-b8", detail=f"</td></script>{HOSTILE}", remedy=HOSTILE)
    page = Reader(report(folder))
    assert page.text.count(HOSTILE) > 10  # shown, as text
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert sum(tag == "script" for tag, _ in page.tags) == 4
    assert {attributes["src"][:5] for tag, attributes in page.tags if tag == "img"} == {"data:"}


def embedded(page: str) -> str:
    """What the page's charts are drawn from."""
    return next(script for script in Reader(page).scripts if script.startswith("{"))


def test_the_embedded_charts_cannot_end_their_script(tmp_path):
    architecture = "a<!--<script>.py:Net"
    folder = make_study(tmp_path / "study", (architecture,), ("bce",))
    finish(folder, f"{architecture}-bce-b8", 0.7, 0.6)
    text = embedded(report(folder))
    assert "<" not in text
    assert json.loads(text)["curves"]["configurations"] == [f"{architecture}-bce-b8"]


def test_figures_are_saved_as_svg_and_as_png(tmp_path, monkeypatch):
    monkeypatch.undo()
    render_again(monkeypatch)
    run = one_run(curves(0.8, 0.7, 3, record_test=True))
    spec = specs.with_rows(specs.curve_grid("loss", ["unet-bce"]), long_rows([run], ["unet-bce"]))
    text = specs.save(spec, tmp_path / "curves")
    assert (tmp_path / "curves.svg").read_text() == text
    assert "unet-bce" in text
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 200
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def one_run(epochs: pl.DataFrame) -> dict:
    return {"of": 0, "name": "a run", "short": "0", "kept": 2, **epochs.to_dict(as_series=False)}


def test_coordinates_are_rounded_and_texts_are_not():
    rows = [{"row": "unet", "column": "bce", "panel": "test", "IoU": 0.8765, "heat": 1, "spread": ""}]
    text = specs.svg(specs.with_rows(specs.score_table(rows), pl.DataFrame(rows)), "heat")
    assert ">0.876<" in text or ">0.877<" in text
    assert not any(re.search(r"\d\.\d{2}", path) for path in re.findall(r' d="([^"]*)"', text))


def test_the_bundle_is_a_script_that_ends_where_it_should(monkeypatch):
    monkeypatch.undo()
    render_again(monkeypatch)
    bundle = specs.scripts()
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
    assert "Synthetic images, not real ones." in report(make_study(tmp_path / "a", data="synthetic"))
    assert "Synthetic images, not real ones." not in report(make_study(tmp_path / "b"))


def test_failures_stand_with_reason_and_remedy_and_runs_are_counted(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    fail(folder, NAMES[1], reason="out of memory", remedy="fewer workers")
    text = Reader(report(folder)).text
    assert "0 of 1 (out of memory)" in text
    assert "segnet-dice-b8, seed 0" in text
    assert "fewer workers" in text
    assert "3 configurations have not finished all runs and cannot win." in text


def test_findings_of_the_check_are_counted_by_severity_and_kind(folder):
    data = json.loads((folder.path / "data.json").read_text())
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


def test_warnings_and_the_best_iou_are_said_in_plain_sight(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    data = json.loads((folder.path / "data.json").read_text())
    kinds = ["empty mask"] * 3 + ["inverted mask suspected"]
    findings = [{"severity": "warning", "kind": kind, "where": "x", "detail": "y"} for kind in kinds]
    best = {"image_size": [32, 48], "resize": "squash", "foreground": None, "mean": 0.1914}
    best |= {"num_measured": 9, "num_images": 9, "num_with_foreground": 8, "num_vanished": 5}
    folder.write_json("data.json", {**data, "findings": findings, "best_iou": [best]})
    text = re.sub(r"\s+", " ", Reader(report(folder)).text)
    assert "Warnings of the check: 3 empty masks, 1 inverted mask suspected; segstudy check DATA" in text
    assert "At 32 x 48 px the best IoU to expect is 0.191 (true masks of 9 test images" in text
    assert "5 of 8 true masks vanish there" in text
    assert re.search(r"best to expect at 32 x 48 px ?– ?0\.191", text)


def test_writing_a_report_twice_gives_the_same_bytes(folder, rendered_again):
    finish(folder, NAMES[0], 0.7, 0.6)
    first = {file: file.read_bytes() for file in (write_report(folder), *(folder.path / "figures").iterdir())}
    write_report(folder)
    assert all(file.read_bytes() == content for file, content in first.items())


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a study"):
        write_report(StudyFolder(tmp_path))


@pytest.mark.slow
def test_an_incomplete_configuration_does_not_lead_a_complete_one(tmp_path):
    folder = make_study(tmp_path / "study", ("segnet", "unet"), ("bce",), seeds=2)
    finish(folder, "unet-bce-b8", 0.9, 0.9)
    assert leading(leaderboard(folder))["configuration"] == "unet-bce-b8"
    text = Reader(report(folder)).text
    assert "stands highest so far" in text
    assert "not a result" in text
    for seed in range(2):
        finish(folder, "segnet-bce-b8", 0.6, 0.6, seed=seed)
    assert leading(leaderboard(folder))["configuration"] == "segnet-bce-b8"
    text = Reader(report(folder)).text
    assert "segnet-bce-b8 is the only configuration with all its runs" in text
    assert "1 configuration has not finished" in text


def test_score_tables_stand_in_the_originals_order_and_mark_missing_runs():
    def row(architecture, loss, iou, rank, batch_size=8):
        return {
            "architecture": architecture,
            "loss": loss,
            "batch_size": batch_size,
            "validation_iou": iou,
            "test_iou": iou and iou - 0.1,
            "validation_iou_seed_sd": 0.004,
            "rank": rank,
        }

    rows = [
        row("unet", "dice", 0.9, 1),
        row("unet", "dice", 0.8, 2),  # another factor: the best on validation stands
        row("segnet", "bce", 0.7, None),
        row("mine", "bce", None, None),
        row("unet", "bce", 0.6, 3, batch_size=12),
    ]
    tables, over = score_tables(rows)
    assert over == ""
    assert [table.caption for table in tables] == [
        "validation, batch size 8",
        "test, batch size 8",
        "validation, batch size 12",
        "test, batch size 12",
    ]
    first = tables[0]
    assert (first.rows, first.columns) == (("segnet", "unet"), ("bce", "dice"))
    assert first.squares == {
        ("unet", "dice"): Square(value=0.9, heat=1.0, spread=0.004, complete=True),
        ("segnet", "bce"): Square(value=0.7, heat=0.0, spread=0.004, complete=False),
    }
    assert tables[1].squares["unet", "dice"].spread is None
    assert [square["spread"] for square in squares_of(tables)] == ["± 0.004"] * 2 + [""] * 2 + ["± 0.004", ""]


def test_of_many_batch_sizes_those_of_the_best_configurations_have_tables():
    sizes = [12, *range(20, 120, 10), 1]
    tables, over = score_tables(
        [
            {"architecture": "unet", "loss": "bce", "batch_size": size, "rank": n + 1}
            | {"validation_iou": 0.9 - n / 100, "test_iou": 0.8}
            for n, size in enumerate(sizes)
        ]
    )
    assert over == "Of 12 batch sizes the 8 with the best configurations on validation."
    assert [table.caption for table in tables[::2]] == [
        f"validation, batch size {size}" for size in (12, 20, 30, 40, 50, 60, 70, 80)
    ]


def curves_of(folder: StudyFolder, ranked: list[str]) -> Curves:
    return read_curves(folder.epochs(sorted(folder.finished())), rows_of(folder), ranked)


def test_curves_stand_in_the_leaderboards_order_and_leave_out_what_was_not_recorded(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce", "dice"), seeds=2, record_test=False)
    for name in ("unet-bce-b8", "unet-dice-b8"):
        for seed in (1, 0):
            finish(folder, name, 0.712345, 0.6, seed=seed)
    found = curves_of(folder, ["unet-dice-b8", "unet-bce-b8"])
    assert found.configurations == ["unet-dice-b8", "unet-bce-b8"]
    assert [(run["of"], run["short"]) for run in found.runs] == [(0, "0"), (0, "1"), (1, "0"), (1, "1")]
    assert found.runs[0]["name"] == "unet-dice-b8, seed 0"
    assert found.runs[0]["epoch"] == [1, 2, 3]
    assert found.runs[0]["validation_iou"][-1] == 0.7123
    assert not any(name.startswith("test") for name in found.runs[0])
    assert set(long_rows(found.runs, found.configurations)["part"]) == {"train", "validation"}


def test_curves_of_very_many_runs_are_thinned_but_keep_their_ends_and_the_kept_epoch(folder, monkeypatch):
    monkeypatch.setattr("segstudy.reporting.sections.learning_curves.MOST_VALUES", 40)
    folder = make_study(folder.path.parent / "long", ("unet",), ("bce",), epochs=20)
    finish(folder, "unet-bce-b8", 0.8, 0.7)
    found = curves_of(folder, ["unet-bce-b8"])
    assert found.every == 3
    assert found.runs[0]["epoch"] == [1, 2, 3, 6, 9, 12, 15, 18, 20]  # 2 was kept
    assert "every 3rd epoch" in Reader(report(folder)).text


@pytest.mark.slow
def test_of_very_many_runs_the_curves_of_the_best_configurations_can_be_picked(folder, monkeypatch):
    monkeypatch.setattr("segstudy.reporting.sections.learning_curves.MOST_RUNS", 3)
    folder = make_study(folder.path.parent / "many", ("unet",), ("bce", "dice"), seeds=2)
    for name, mean in (("unet-bce-b8", 0.7), ("unet-dice-b8", 0.8)):
        for seed in range(2):
            finish(folder, name, mean, 0.7, seed=seed)
    found = curves_of(folder, ["unet-dice-b8", "unet-bce-b8"])
    assert (found.configurations, found.num_all) == (["unet-dice-b8"], 2)
    assert [run["name"] for run in found.runs] == ["unet-dice-b8, seed 0", "unet-dice-b8, seed 1"]
    text = Reader(report(folder)).text
    assert "The best 1 of 2 configurations on validation are listed; the curves of the others are in" in text
    assert "The first 1 of 2 configurations by validation." in text


def test_a_long_leaderboard_has_pages_and_says_where_all_rows_are(folder, monkeypatch):
    monkeypatch.setattr("segstudy.reporting.sections.leaderboard.MOST_ROWS", 3)
    monkeypatch.setattr("segstudy.reporting.sections.leaderboard.ROWS_OF_PAGE", 2)
    folder = make_study(folder.path.parent / "many", ("segnet", "unet"), ("bce", "dice"))
    page = report(folder)
    table, rest = page.split('<table id="leaderboard-table">')[1].split('<template id="leaderboard-rest">')
    assert table.split("</tbody>")[0].count('<th scope="row"') == 2
    assert rest.split("</template>")[0].count('<th scope="row"') == 2
    assert "The first 2 of 4 rows; the file leaderboard.csv beside this page has all." in page
    assert (folder.path / "leaderboard.csv").read_text().count("\n") == 5


def test_a_loss_that_is_not_a_number_is_a_gap(folder):
    run = one_run(curves(0.8, 0.7, 3, record_test=False).with_columns(train_loss=pl.Series([1.0, None, 0.5])))
    rows = long_rows([run], ["unet-bce"])
    assert rows.filter(part="train")["epoch"].to_list() == [1, 3]
    assert rows.filter(part="validation")["epoch"].to_list() == [1, 2, 3]


def test_small_multiples_show_the_first_forty_configurations_and_at_most_200_runs():
    epochs = curves(0.8, 0.7, 3, record_test=True)
    runs = [{**one_run(epochs), "of": n // 9, "name": str(n)} for n in range(60 * 9)]
    shown = panels(Curves([f"net{i}" for i in range(60)], runs, 1, 60))
    assert shown.titles == [f"net{i}" for i in range(40)]
    assert shown.rows["title"].n_unique() == 40
    assert shown.rows.group_by("title").agg(pl.col("run").n_unique())["run"].to_list() == [5] * 40
    assert (shown.runs_each, shown.every) == (5, 1)


def test_small_multiples_of_very_many_points_draw_every_second_epoch(monkeypatch):
    monkeypatch.setattr("segstudy.reporting.sections.learning_curves.MOST_POINTS", 20)
    run = one_run(curves(0.8, 0.7, 12, record_test=True))
    shown = panels(Curves(["unet-bce"], [run], 1, 1))
    assert shown.every == 2
    assert shown.rows.filter(part="test")["epoch"].to_list() == [1, 3, 5, 7, 9, 11]


def board_row(**values):
    blank = {
        "configuration": "unet-bce",
        "masks": False,
        "rank": 1,
        "num_finished": 1,
        "num_planned": 1,
        "failures": "",
    }
    return {**blank, "validation_iou": 0.9, "test_iou": 0.8, **values}


def test_the_board_leaves_out_what_no_run_measured_and_writes_the_rest_as_people_do():
    rows = [
        board_row(test_iou_low=0.75, test_iou_high=0.85, num_parameters=1_964_097, test_hd95_frac=0.0512),
        board_row(num_parameters=512_000, test_hd95_frac=None, test_ece=None),
    ]
    shown = leaderboard_table(pl.DataFrame(rows), {"mean mask": {"test_iou": 0.5}})
    assert [column.name for column in shown.columns] == [
        "validation_iou",
        "test_iou",
        "test_hd95_frac",
        "num_parameters",
    ]
    assert shown.groups == [("IoU, native size", 2), ("boundary, test", 1), ("cost", 1)]
    first, second = (cells for _, cells in shown.lines)
    assert [cell.text for cell in first] == ["0.900", "0.800", "5.12", "1.96 M"]
    assert [cell.interval for cell in first] == ["", "[0.750, 0.850]", "", ""]
    assert [cell.text for cell in second] == ["0.900", "0.800", "–", "512 k"]
    ((name, cells),) = shown.references
    assert name == "mean mask"
    assert [cell.text for cell in cells] == ["–", "0.500", "–", "–"]


def test_baselines_are_averaged_over_images_part_by_part():
    table = pl.DataFrame(
        {
            "baseline": ["all"] * 3 + ["mean"] * 2,
            "part": ["test", "test", "validation", "test", "validation"],
            "native_iou": [0.2, 0.4, 0.5, 0.6, 0.7],
            "native_ece": [None] * 5,
        },
        schema_overrides={"native_ece": pl.Float64},
    )
    assert baseline_scores(table) == {
        "all": {"test_iou": pytest.approx(0.3), "validation_iou": 0.5},
        "mean": {"test_iou": 0.6, "validation_iou": 0.7},
    }
    assert baseline_scores(None) == {}


def test_baselines_and_people_stand_under_the_leaderboard_without_a_rank(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    baseline = {"baseline": "all foreground", "part": "test", "native_iou": 0.3217, "native_dice": 0.4}
    baseline |= {"split": "auto", "split_seed": 0, "fold": None}
    folder.write_table("baselines.parquet", pl.DataFrame([baseline]))
    assert "people:" not in Reader(report(folder)).text
    folder.write_json("data.json", {**json.loads((folder.path / "data.json").read_text()), "reader": "ph2"})
    text = re.sub(r"\s+", " ", Reader(report(folder)).text)
    assert re.search(r"all foreground ?– ?0\.322", text)
    assert "people: ISIC-2016" in text


def test_scores_on_other_data_stand_beside_those_on_the_studys_own(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    assert "On other data" not in Reader(report(folder)).text
    score = {"mean": 0.512, "low": 0.4, "high": 0.6}
    record = {
        "kind": "evaluation",
        "seeds": [0],
        "data": {"name": "elsewhere"},
        "num_images": 7,
        "scores": {"test": {"iou": score}},
        "in_domain": {"data": {"name": "here"}, "num_images": 9, "scores": {"iou": {**score, "mean": 0.6}}},
    }
    folder.write_external("unet-on-elsewhere", record, pl.DataFrame({"id": ["a"]}))
    text = Reader(report(folder)).text
    assert "elsewhere (7)" in text
    assert "0.512 [0.400, 0.600]" in text
    assert "0.600 [0.400, 0.600]" in text


def test_masks_of_another_tool_stand_in_the_leaderboard_and_in_no_table_of_configurations(folder):
    finish(folder, NAMES[0], 0.7, 0.6)
    scored = pl.concat([scores(part, sample_ids(), 0.99) for part in ("validation", "test")])
    images = scored.with_columns(seed=pl.lit(0), fold=pl.lit(None, pl.Int64))
    whole = {"num_images": 9, "missing": {}}
    record = {"kind": "masks", "seeds": [0], "parts": {"validation": whole, "test": whole}}
    folder.write_external("otsu", record, images)
    page = report(folder)
    row = re.search(r"<tr[^>]*>(?:(?!</tr>).)*otsu.*?</tr>", page, re.DOTALL)
    assert row
    assert "0.990" in row[0]
    assert "1 of 1 masks" in row[0]
    assert leading(leaderboard(folder))["configuration"] == NAMES[0]
    assert "4 configurations" in Reader(page).text
    assert "otsu" not in embedded(page)


def test_a_front_has_what_nothing_beats_in_both_score_and_cost():
    def row(name, iou, cost):
        return {"configuration": name, "test_iou": iou, "num_macs": cost}

    rows = [
        row("cheap", 0.6, 10),
        row("cheap too, but worse", 0.5, 10),
        row("better", 0.8, 20),
        row("dear and worse", 0.7, 30),
        row("best", 0.9, 40),
        row("of unknown cost", 1.0, None),
    ]
    assert pareto_front(rows, "num_macs") == {"cheap", "better", "best"}
    assert pareto_front(rows, "seconds") == set()
    for one in rows[:5]:
        beaten = any(
            other["test_iou"] >= one["test_iou"] and other["num_macs"] <= one["num_macs"]
            for other in rows[:5]
            if other is not one
        )
        assert (one["configuration"] in pareto_front(rows, "num_macs")) != beaten


def test_every_option_of_the_protocol_that_is_shared_is_shown_and_no_factor(tmp_path):
    folder = make_study(tmp_path / "study", batch_size=[4, 8])
    shown = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", report(folder)))
    assert shown["image size"] == "32 × 32"
    assert shown["record test"] == "yes"
    assert "batch size" not in shown


# What the page says of groups and tests, only where it is so


def paper(folder: StudyFolder) -> str:
    """The methods paragraph and its BibTeX."""
    return Reader(report(folder)).text.partition("For a paper")[2].partition("Protocol")[0]


@pytest.mark.slow
def test_which_may_be_the_best_is_drawn_where_several_seeds_tell(tmp_path):
    names = ("segnet-bce-b8", "unet-bce-b8")
    several = finish_all(make_study(tmp_path / "two", ("segnet", "unet"), ("bce",), seeds=2), names, 2)
    text = Reader(report(several)).text
    assert "Which may be the best on test" in text
    assert (several.path / "figures" / "against-best.svg").stat().st_size > 1000
    single = finish_all(make_study(tmp_path / "one", ("segnet", "unet"), ("bce",)), names, 1)
    text = Reader(report(single)).text
    assert "which is the best cannot be told" in text
    assert not (single.path / "figures" / "against-best.svg").exists()


def test_one_seed_shows_differences_on_these_images_and_decides_nothing(tmp_path):
    names = ("segnet-bce-b8", "unet-bce-b8")
    single = finish_all(make_study(tmp_path / "one", ("segnet", "unet"), ("bce",)), names, 1)
    text = Reader(report(single)).text
    assert "with 95 % intervals over images alone" in text
    assert text.count("cannot tell: one run") == 2
    assert "may be the best" not in text.partition("How sure")[2].partition("Heat map")[0]
    shown = (single.path / "figures" / "on-these-images.svg").read_text(encoding="utf-8")
    assert "test IoU minus that of unet-bce-b8, on these images with these runs" in shown
    assert not any(colour in shown for colour in (ranks.APART, ranks.OPEN))


@pytest.mark.slow
def test_the_set_of_the_best_stands_with_the_share_first_and_the_range_of_ranks(tmp_path):
    names = ("segnet-bce-b8", "unet-bce-b8", "unet2-bce-b8")
    folder = make_study(tmp_path / "s", ("segnet", "unet", "unet2"), ("bce",), seeds=4)
    for name, mean in zip(names, (0.5, 0.8, 0.8), strict=True):
        for seed in range(4):
            finish(folder, name, mean, mean, seed=seed, noise=0.01)
    said = read_report_data(folder, images=False).answers
    found = {each.name: each for each in certainty.chances(said)}
    assert list(found)[-1] == "segnet-bce-b8"
    assert re.fullmatch("out: unet2?-bce-b8 is better", found["segnet-bce-b8"].state)
    assert {found[name].state for name in names[1:]} == {"may be the best"}
    first = [found[name].standing.stability for name in names]
    assert first[0].best == 0
    assert (first[0].low, first[0].high) == (3, 3)
    assert first[1].best + first[2].best == pytest.approx(1)
    text = Reader(report(folder)).text
    assert "the best on test?" in text
    assert "1–2" in text


def test_intervals_on_a_chart_are_cut_at_the_possible_values():
    wide = AgainstBest(
        rival=1, mean=0.1, low=-1.7, high=1.9, standard_error=0.5, df=1.0, num_configurations=2
    )
    (row,) = ranks.against_best({"a": Contender("a", "b", wide)})["datasets"]["rows"]
    assert (row["low"], row["high"]) == (-1.0, 1.0)


def finish_all(folder: StudyFolder, names: tuple[str, ...], seeds: int) -> StudyFolder:
    for i, name in enumerate(names):
        for seed in range(seeds):
            finish(folder, name, 0.7 + 0.03 * i, 0.6 + 0.03 * i, seed=seed, noise=0.02)
    return folder


TESTS = ("Games and Howell", "Nemenyi", "ANOVA-type", "random runs")
CITED = ("gameshowell", "demsar", "brunner", "mrmc")


@pytest.mark.parametrize(
    ("architectures", "losses", "seeds", "made"),
    [
        (("unet",), ("bce",), 1, ()),
        (("unet",), ("bce",), 2, (3,)),
        (("unet", "segnet"), ("bce", "dice"), 1, ()),
        (("unet", "segnet"), ("bce",), 2, (0, 2, 3)),
        (("unet", "segnet"), ("bce", "dice"), 2, (0, 1, 2, 3)),
    ],
)
def test_the_methods_paragraph_names_only_tests_that_were_made(tmp_path, architectures, losses, seeds, made):
    folder = make_study(tmp_path / "study", architectures, losses, seeds=seeds)
    names = tuple(f"{architecture}-{loss}-b8" for architecture in architectures for loss in losses)
    text = paper(finish_all(folder, names, seeds))
    assert [i for i, each in enumerate(TESTS) if each in text] == list(made)
    assert [i for i, key in enumerate(CITED) if f"{{{key}," in text] == list(made)
    assert ("training noise was not measured" in text) == (seeds == 1)
    assert ("ranked by validation" in text) == (len(names) > 1)


def test_seeds_that_are_planned_but_not_done_are_no_test(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), seeds=2, epochs=1)
    text = paper(finish_all(folder, ("unet-bce-b8",), 1))
    assert "training noise was not measured" in text
    assert "random runs" not in text
    assert "trained for 1 epoch with" in text


@pytest.mark.parametrize("folds", [0, 3])
def test_without_groups_no_patient_is_said_to_be_kept_together(tmp_path, folds):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",), folds=folds)
    for fold in range(folds) if folds else [None]:
        finish(folder, "unet-bce-b8", 0.8, 0.7, fold=fold)
    text = Reader(report(folder)).text
    assert "18 images; 9 nevus" in text
    assert "Each image is treated as independent; patients or lesions are not known." in text
    assert "Each image was treated as independent; patients or lesions are not known." in paper(folder)
    assert "no patient or lesion" not in text
    assert "never divided" not in text
    data = json.loads((folder.path / "data.json").read_text())
    samples = [
        {**sample, "group": "p" if i < 2 else sample["group"]} for i, sample in enumerate(data["samples"])
    ]
    folder.write_json("data.json", {**data, "samples": samples})
    text = Reader(report(folder)).text
    assert "18 images of 17 groups (never divided between subsets)" in text
    assert "no patient or lesion" in text
    assert "independent; patients" not in text


def test_intervals_of_differences_are_written_within_what_is_possible(tmp_path):
    folder = make_study(tmp_path / "study", ("unet", "segnet"), ("bce",), seeds=2)
    for seed in range(2):
        finish(folder, "unet-bce-b8", 0.9, 0.1 + 0.8 * seed, seed=seed)
        finish(folder, "segnet-bce-b8", 0.8, 0.9 - 0.8 * seed, seed=seed)
    row = leaderboard(folder).filter(pl.col("configuration") == "unet-bce-b8").row(0, named=True)
    assert row["to_best_high"] == 1  # with two seeds that disagree, the model knows no bounds
    page = write_report(folder).read_text(encoding="utf-8")
    ends = re.findall(r"\[(-?\d\.\d{3}), (-?\d\.\d{3})\]", page)
    assert ends
    assert all(-1 <= float(end) <= 1 for pair in ends for end in pair)
