"""The section on classes, and the rest of the page of a study with several."""

import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import vl_convert
from fake_study import make_study, rewrite
from made_up_classes import discs, finish_classes, write_class_thumbnails

import segstudy
from segstudy.analysis.absent_classes import conventions, order_sentence
from segstudy.analysis.class_differences import class_differences, everywhere_sentences
from segstudy.analysis.confusions import Confusions, confusions
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.results import gather
from segstudy.core.outputs import Outputs
from segstudy.core.palette import colour_of
from segstudy.data.class_findings import class_name
from segstudy.data.split import Split
from segstudy.reporting.charts import specs
from segstudy.reporting.class_layers import LAST, PREDICTED_AS_NONE, layers_of, outlines, painted_classes
from segstudy.reporting.leaderboard_text import leaderboard_text
from segstudy.reporting.page import read_report_data, write_report
from segstudy.reporting.sections import classes as module
from segstudy.reporting.sections.data import in_parts
from segstudy.store.folder import StudyFolder

CLASSES = "background=0,disc=1,cup=2,rim=3"
NAMES = ("unet-bce-b8", "unet-dice-b8")
TEST = [f"i{n:02}" for n in range(24)]
PARTS = {"train": ["t"], "validation": ["v0", "v1"], "test": TEST}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(specs, "scripts", lambda: "const vegaEmbed = () => {};")
    monkeypatch.setattr(vl_convert, "svg_to_png", lambda *_, **__: b"")


def made(path, classes: str = CLASSES, seeds: int = 2, moved=(2.0, 6.0), **fields) -> StudyFolder:
    folder = make_study(path / "s", ("unet",), ("bce", "dice"), seeds=seeds, classes=classes, **fields)
    split = {"split": "auto", "split_seed": 0, "fold": None, **PARTS}
    folder.write_json("split.json", {"splits": [split]})
    write_class_thumbnails(folder, TEST)
    for name, far in zip(NAMES, moved, strict=True):
        for seed in range(seeds):
            finish_classes(folder, name, far, seed=seed, parts=PARTS)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> StudyFolder:
    return made(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def page(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    return page.partition(f'<section id="{name}">')[2].partition("</section>")[0]


def test_the_section_has_every_configuration_in_every_class(folder, page):
    found, results = section(page, "classes"), gather(folder)
    for name in NAMES:
        for number in range(4):
            assert f"{results.class_interval(name, number).mean:.3f}" in found
    assert "mean per-image IoU over foreground classes" in found
    assert [colour_of(n) in found for n in (1, 2, 3)] == [True] * 3
    stems = {file.stem for file in (folder.path / "figures").iterdir()}
    assert {"iou-by-class", "class-differences", "configuration-by-class", "confusion-matrix"} <= stems


def test_an_iou_has_the_same_colour_in_all_columns_of_the_page_and_the_figure(folder, page, monkeypatch):
    results = gather(folder)
    names = module.class_names(results.outputs, results.classes[NAMES[0]])
    heat_map = module.heat_map_of(results, NAMES, names)
    for square in heat_map.squares.values():
        colour, mean = f"{0.05 + 0.5 * square.score.mean:.2f}", f"{square.score.mean:.3f}"
        assert f'rgba(var(--heat), {colour})">{mean}' in section(page, "classes")
    drawn = []
    monkeypatch.setattr(specs, "save", lambda spec, _: drawn.append(spec["datasets"][specs.ROWS]))
    module.write_figures(heat_map, names, None, folder.path)
    assert [row["heat"] for row in drawn[0]] == [row["IoU"] for row in drawn[0]]


def test_words_of_one_foreground_and_of_thresholds_are_not_on_the_page(page):
    text = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    for wrong in ("threshold .5", "threshold 0.5", "cut at .5", "missed lesion", "foreground against"):
        assert wrong not in text, wrong
    assert "threshold" not in section(page, "questions")
    assert 'id="probabilities"' not in page
    assert "most probable class" in section(page, "verdict")


def test_the_terminal_and_the_table_have_the_classes(folder):
    text = " ".join(leaderboard_text(folder.path, "text", False, None, None).split())
    assert "over foreground classes" in text
    assert "the most probable class" in text
    assert (
        "unet-bce-b8 by class, test IoU over the images whose mask or prediction has it: background 0."
        in text
    )
    assert "unet-bce-b8 has the highest test IoU in all 3 classes." in text
    frame, results = leaderboard(folder), gather(folder)
    first = frame.row(0, named=True)
    found = results.class_interval("unet-bce-b8", 2)
    assert (first["test_iou[cup]"], first["test_iou[cup]_low"]) == (found.mean, found.low)
    assert first["test_missed[rim]"] == results.classes["unet-bce-b8"].objects[1, 3]
    assert "test_missed[background]" not in frame.columns


def test_a_configuration_without_class_weights_is_found_by_its_name(tmp_path):
    """It was called class_weights=None, and docs and sentences said none."""
    names = [f"unet-bce-b8-class_weights={weights}" for weights in ("none", "balanced")]
    factors = {"class_weights": ["none", "balanced"]}
    folder = make_study(tmp_path / "s", ("unet",), ("bce",), seeds=2, classes=CLASSES, factors=factors)
    folder.write_json("split.json", {"splits": [{"split": "auto", "split_seed": 0, "fold": None, **PARTS}]})
    for name, far in zip(names, (2.0, 6.0), strict=True):
        for seed in range(2):
            finish_classes(folder, name, far, seed=seed, parts=PARTS)
    found = segstudy.compare(str(folder.path), *names)
    assert names[0] in str(found)
    assert "None" not in "".join(leaderboard(folder)["configuration"])


def test_a_binary_leaderboard_has_no_column_of_a_class(tmp_path):
    assert not [name for name in leaderboard(make_study(tmp_path / "s")).columns if "[" in name]


def test_the_confusion_matrix_is_the_mean_over_runs_of_all_pixels(folder):
    results = gather(folder)
    found = confusions(folder, results, NAMES[0])
    expected = np.zeros((4, 4))
    for seed in range(2):
        for each in TEST:
            truth = discs(results.outputs, each)
            predicted = discs(results.outputs, each, 2.0, f"{NAMES[0]}{seed}")
            np.add.at(expected, (truth.ravel(), predicted.ravel()), 0.5)
    assert found.pixels == pytest.approx(expected)
    assert found.shares.sum(1) == pytest.approx(np.ones(4))
    assert found.class_shares.sum() == pytest.approx(1)


def test_a_class_that_is_worse_in_one_configuration_alone_depends_on_the_class(tmp_path):
    folder = made(tmp_path, moved=(3.0, 3.0))
    for seed in range(2):
        worsen(folder, NAMES[1], seed, "disc", 0.2)
    results = gather(folder)
    (each,) = class_differences(results, NAMES)
    assert each.depends
    assert {one.name: one.num_images for one in each.subgroups}["disc"] == len(TEST)
    by_name = {one.name: one.difference.mean for one in each.subgroups}
    assert by_name["disc"] == pytest.approx(0.2, abs=0.05)
    said = everywhere_sentences(results, NAMES[::-1])  # the worse one as if it had won
    assert any(each.startswith("In disc, unet-bce-b8 is better by 0.2") for each in said)


def worsen(folder, name: str, seed: int, of_class: str, by: float) -> None:
    record = next(
        r for r in folder.run_records(sorted(folder.finished())) if (r.name, r.seed) == (name, seed)
    )
    file = folder.runs / record.key / "classes.parquet"
    here = (pl.col("class") == of_class) & pl.col("in_truth")
    less = pl.when(here).then(pl.col("native_iou") - by).otherwise("native_iou")
    rewrite(file, pl.read_parquet(file).with_columns(native_iou=less))


def test_no_class_is_said_to_be_proven_equal(folder):
    said = everywhere_sentences(gather(folder), NAMES)
    assert said == ["unet-bce-b8 has the highest test IoU in all 3 classes."]
    turned = everywhere_sentences(gather(folder), NAMES[::-1])
    assert turned[0].startswith("unet-dice-b8 has the highest test IoU in no class alone; higher means have")


@pytest.mark.slow
def test_one_seed_tests_nothing_and_says_so(tmp_path):
    folder = made(tmp_path, seeds=1)
    results = gather(folder)
    assert class_differences(results, NAMES)[0].p is None
    assert len(everywhere_sentences(results, NAMES)) == 1
    found = section(write_report(folder, images=False).read_text(), "classes")
    assert "is not tested" in found
    assert "training noise is not measured" in found


def test_the_conventions_agree_where_no_image_lacks_a_class_and_differ_where_some_do(folder):
    results = gather(folder)
    first, second = conventions(results, NAMES)
    assert first.present == pytest.approx(results.scores(NAMES[0]).mean())
    assert first.absent_as_1 > first.present
    assert first.in_truth > first.present  # a rim that is invented costs nothing
    table = results.classes[NAMES[0]]
    always = [n for n in results.outputs.scored if table.present[:, :, n].all()]
    assert always == [1, 2]
    assert order_sentence([first, second]) == (
        "Under each of these conventions unet-bce-b8 has the highest test mean."
    )


def test_classes_that_overlap_have_no_confusion_matrix(tmp_path):
    folder = made(tmp_path, classes="disc,cup")
    found = section(write_report(folder).read_text(), "classes")
    assert "Classes overlap here" in found
    assert "mean per-image IoU over classes" in found
    assert not (folder.path / "figures" / "confusion-matrix.svg").exists()


@pytest.mark.slow
def test_twenty_classes_fit(tmp_path):
    folder = made(tmp_path, classes="background=0," + ",".join(f"c{n}={n}" for n in range(1, 21)), seeds=1)
    data = read_report_data(folder, images=True)
    values = module.values(data)
    assert not values["with_intervals"]
    assert len(values["matrix"]) == 21
    assert section(write_report(folder).read_text(), "images").count("<figure>") == 12


@pytest.mark.slow
def test_hostile_names_stay_text(tmp_path):
    folder = made(tmp_path, classes="background=0,<b>x</b>=1,cup=2".replace("/", "∕"), seeds=1)
    found = write_report(folder).read_text()
    assert "<b>x" not in re.sub(r"<script\b.*?</script>", "", found, flags=re.DOTALL)
    assert "&lt;b&gt;x" in found


@pytest.mark.slow
def test_a_study_without_scores_by_class_leaves_the_section_out(tmp_path):
    folder = made(tmp_path, seeds=1)
    for key in folder.finished():
        (folder.runs / key / "classes.parquet").unlink()
    assert 'id="classes"' not in write_report(folder, images=False).read_text()


def test_predictions_are_pale_where_right_strong_where_wrong_and_free_where_ignored():
    outputs = Outputs("multiclass", ("background", "disc", "cup"), has_ignored=True)
    truth = np.array([[0, 1, 1, 2, 2, 255]], np.uint8)
    predicted = np.array([[0, 1, 2, 2, 0, 1]], np.uint8)
    assert painted_classes(outputs, truth, predicted).tolist() == [[0, 3, 6, 5, LAST, 0]]
    assert PREDICTED_AS_NONE[:3] == (255, 255, 255)
    around = np.zeros((9, 9), np.uint8)
    around[3:6, 3:6] = 2
    places = outlines(outputs, around)
    assert places[4].tolist() == [0, 0, LAST, 5, 0, 5, LAST, 0, 0]
    assert layers_of(outputs).truth(truth).startswith("data:image/png;base64,")


def test_the_last_of_overlapping_classes_is_shown():
    outputs = Outputs("multilabel", ("disc", "cup"))
    truth, predicted = np.array([[3, 1, 2, 0]], np.uint16), np.array([[3, 3, 0, 1]], np.uint16)
    assert painted_classes(outputs, truth, predicted).tolist() == [[3, 4, LAST, 2]]


CHROMIUM = os.environ.get("SEGSTUDY_CHROMIUM") or shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: SEGSTUDY_CHROMIUM may name one")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_in_a_browser_a_phone_shows_it_and_outlines_of_the_truth_can_be_switched_off(folder, page):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    assert "outlines of the truth" in section(page, "images")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_context(viewport={"width": 400, "height": 800}, offline=True).new_page()
        opened.goto((folder.path / "report.html").as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") == 400
        truth, predicted = (
            opened.locator(f"#images figure .layer{which}").first
            for which in (":not(.predicted)", ".predicted")
        )
        opened.locator("#images-truth").uncheck()
        assert not truth.is_visible()
        assert predicted.is_visible()
        opened.locator("#images-masks").uncheck()
        assert not predicted.is_visible()
        browser.close()


def test_python_has_the_rows_of_every_class(folder):
    rows = segstudy.Study(folder.path).classes()
    assert rows.height == 4 * 4 * (len(TEST) + 2)
    assert {"key", "part", "id", "class", "in_truth", "predicted_px", "num_missed", "native_iou"} <= set(
        rows.columns
    )


def test_equal_values_are_no_victory_and_frame_nothing(tmp_path):
    folder = made(tmp_path, moved=(2.0, 2.0))
    for key in folder.finished():
        file = folder.runs / key / "classes.parquet"
        same = pl.when(pl.col("class") == "cup").then(0.5).otherwise("native_iou")
        lower = pl.when((pl.col("class") == "disc") & pl.lit(key == min(folder.finished()))).then(0.4)
        rewrite(file, pl.read_parquet(file).with_columns(native_iou=lower.otherwise(same)))
    results = gather(folder)
    present = results.classes[NAMES[0]].present[:, :, 2] > 0
    assert present.all()
    said = everywhere_sentences(results, NAMES)[0]
    assert "all are equal in cup (0.500)" in said
    names = module.class_names(results.outputs, results.classes[NAMES[0]])
    squares = module.heat_map_of(results, NAMES, names).squares
    assert not any(squares[name, 2].is_highest for name in NAMES)


def test_the_section_on_data_names_the_classes_and_how_much_there_is_of_them(tmp_path):
    folder = make_study(tmp_path / "s", classes=CLASSES, ignore="255")
    content = json.loads((folder.path / "data.json").read_text())
    content["class_shares"] = [{"name": "disc", "pixel_frac": 0.1234, "num_masks": 1234}]
    folder.write_json("data.json", content)
    found = section(write_report(folder).read_text(), "data")
    assert "<td>12.3 %</td><td>1,234</td>" in found
    assert "mask value 255 are ignored" in found
    assert found.count("<tr>") == 5


def test_the_section_on_data_says_how_many_masks_of_each_subset_hold_a_class(tmp_path):
    folder = make_study(tmp_path / "s", classes=CLASSES, ignore="255", channels=4)
    folder.write_json("split.json", {"splits": [{"split": "auto", "split_seed": 0, "fold": None, **PARTS}]})
    content = json.loads((folder.path / "data.json").read_text())
    without = {class_name(folder.study().protocol.mask_meaning(), "cup"): ["v0", "v1", *TEST[2:]]}
    warning = {"severity": "warning", "kind": "empty mask", "where": "t", "detail": "d"}
    folder.write_json("data.json", {**content, "without_foreground": without, "findings": [warning]})
    found = section(write_report(folder).read_text(), "data")
    assert '<td>1</td><td class="missing">0</td><td>2</td></tr>' in found
    assert f"segstudy check DATA --classes {CLASSES} --ignore 255 --channels 4 --html FILE" in found
    assert in_parts([Split(("a", "b"), ("c",), ()), Split(("a", "c"), ("b",), ())], ["c"]) == (
        "1–2",
        "0–1",
        "0",
    )


def test_intervals_of_distances_by_class_stay_within_the_diagonal(tmp_path):
    """The discs of one seed are all missed: a distance of the diagonal, 80 px; the other run is right."""
    folder = made(tmp_path, moved=(2.0, 6.0))
    worst, best = gather(folder).row(NAMES[0]).records
    for key, share in ((worst.key, 1.0), (best.key, 0.001)):
        file = folder.runs / key / "classes.parquet"
        table = pl.read_parquet(file)
        rewrite(file, table.with_columns(native_hd95_px=80 * share, native_hd95_frac=share))
    results = gather(folder)
    names = module.class_names(results.outputs, results.classes[NAMES[0]])
    rows = module.class_rows(folder, results, NAMES[0], names, None)
    ends = {row.scores[list(module._metrics()).index("hd95_px")][1] for row in rows}
    assert ends - {""} == {"[0.0, 80.0]"}  # a class on few images has a mean alone


MANY = "background=0," + ",".join(f"c{n}={n}" for n in range(1, 16))


@pytest.mark.slow
def test_of_many_classes_sentences_name_a_few_and_count_the_others(tmp_path):
    folder = made(tmp_path, classes=MANY, moved=(6.0, 2.0))
    results = gather(folder)
    text = " ".join(leaderboard_text(folder.path, "text", False, None, None).split())
    assert "more with a higher IoU (--format csv has all)." in text
    same = {name: replace(results.classes[NAMES[0]], sums=results.classes[NAMES[0]].sums) for name in NAMES}
    (said,) = everywhere_sentences(replace(results, classes=same), NAMES)
    assert "all are equal in c1 (" in said
    assert said.endswith("and 11 more.")
    highest, *rest = everywhere_sentences(results, NAMES)
    assert highest.count(" against ") <= 5
    assert sum(each.startswith("In ") for each in rest) <= 5


def test_confusions_that_are_as_frequent_as_the_last_one_named_are_counted():
    pixels = np.diag(np.full(6, 50.0))
    pixels[1:, 0] = 50.0
    said = Confusions(tuple("abcdef"), pixels).sentence()
    assert said == (
        "Most often confused: 50 % of b as a, 50 % of c as a, 50 % of d as a and 2 other pairs as often as "
        "the last."
    )
    pixels[3:, 0] = 1.0
    assert (
        Confusions(tuple("abcdef"), pixels)
        .sentence()
        .endswith("2 % of d as a and 2 other pairs as often as the last.")
    )
    assert Confusions(tuple("ab"), np.diag([1.0, 1.0])).sentence() == ""
