"""The report in a real browser: offline, without an error, and everything that can be clicked works."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_study import finish, make_study

from segstudy.reporting.page import write_report
from segstudy.store.folder import StudyFolder

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = os.environ.get("SEGSTUDY_CHROMIUM") or shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: SEGSTUDY_CHROMIUM may name one"),
    # Playwright's own event loop is closed by the interpreter, not by it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")
SEEDS = 3


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four configurations with three seeds each; the better on validation, the worse on test."""
    folder = make_study(tmp_path_factory.mktemp("browser") / "study", seeds=SEEDS, epochs=12)
    for i, name in enumerate(NAMES):
        for seed in range(SEEDS):
            finish(folder, name, 0.7 + 0.05 * i + 0.01 * seed, 0.9 - 0.05 * i - 0.01 * seed, seed=seed)
    return write_report(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class Opened:
    """A page, and what it asked for and complained of."""

    def __init__(self, browser: "sync_api.Browser", file: Path, **options: object) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url[:200]}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("#curve-loss svg")

    def lines(self) -> int:
        """How many curves are drawn in the chart of IoU."""
        return self.page.locator("#curve-score svg g.mark-line path").count()

    def wait_for_lines(self, count: int) -> None:
        self.page.wait_for_function(
            "n => document.querySelectorAll('#curve-score svg g.mark-line path').length === n", arg=count
        )

    def column(self, number: int) -> list[str]:
        """What a column of the leaderboard says, from the top; configurations are in column 1."""
        return self.page.locator(f"#leaderboard-table tbody tr > :nth-child({number + 1})").all_inner_texts()


@pytest.fixture
def opened(browser: "sync_api.Browser", report: Path) -> Iterator[Opened]:
    opened = Opened(browser, report)
    yield opened
    opened.context.close()
    assert opened.errors == []


def test_it_opens_offline_without_an_error_and_asks_for_nothing(opened: Opened):
    assert opened.page.title() == "fake · segstudy"
    assert opened.page.locator("#pareto svg").count() == 1
    assert opened.errors == []
    assert {url.split(":")[0] for url in opened.asked} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in opened.asked) == 1


def test_every_link_at_the_top_leads_to_a_section(opened: Opened):
    targets = opened.page.locator("nav a").evaluate_all("links => links.map(link => link.hash.slice(1))")
    assert {"data", "leaderboard", "losses", "learning"} <= set(targets)
    assert all(opened.page.locator(f"section#{target}").count() == 1 for target in targets)


def test_a_click_on_a_heading_sorts_and_a_second_turns_the_order(opened: Opened):
    by_validation = list(reversed(NAMES))
    assert names(opened) == by_validation
    test = opened.page.locator("#leaderboard-table th[scope=col]").filter(has_text="test").first
    test.locator("button").click()
    assert names(opened) == list(NAMES)
    assert test.get_attribute("aria-sort") == "descending"
    test.locator("button").click()
    assert names(opened) == by_validation
    opened.page.locator("#leaderboard-table th.name button").click()
    assert names(opened) == sorted(NAMES)


@pytest.fixture
def paged(
    browser: "sync_api.Browser", report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    """The same report with three rows of the leaderboard in a page."""
    monkeypatch.setattr("segstudy.reporting.sections.leaderboard.MOST_ROWS", 3)
    monkeypatch.setattr("segstudy.reporting.sections.leaderboard.ROWS_OF_PAGE", 3)
    opened = Opened(browser, write_report(StudyFolder(shutil.copytree(report.parent, tmp_path / "study"))))
    yield opened
    opened.context.close()
    assert opened.errors == []


def shown(opened: Opened) -> list[str]:
    rows = opened.page.locator("#leaderboard-table tbody tr:visible > :nth-child(2)")
    return [text.rstrip(" ●") for text in rows.all_inner_texts()]


def test_pages_of_a_long_leaderboard_are_of_all_rows_as_sorted_and_filtered(paged: Opened):
    by_validation, page = list(reversed(NAMES)), paged.page
    said = page.locator("#leaderboard-pages [role=status]")
    assert shown(paged) == by_validation[:3]
    assert said.inner_text() == "1 to 3 of 4 rows"
    assert page.locator("#leaderboard-first:visible").count() == 0
    page.locator("#leaderboard-pages button").nth(1).click()
    assert shown(paged) == by_validation[3:]
    assert said.inner_text() == "4 to 4 of 4 rows"
    page.locator("#leaderboard-table th.name button").click()  # the first page again, of all rows sorted
    assert shown(paged) == sorted(NAMES)[:3]
    page.locator("#leaderboard-pages input").first.fill("DICE unet")
    assert shown(paged) == ["unet-dice-b8"]
    assert said.inner_text() == "1 to 1 of 1 that match, of 4 rows"
    page.locator("#leaderboard-pages input").first.fill("")
    page.locator("#leaderboard-pages [type=checkbox]").check()
    assert shown(paged) == sorted(NAMES)
    page.locator("#leaderboard-pages input").first.fill("nothing")
    assert said.inner_text() == "no row matches"


def test_without_scripts_the_first_rows_are_there_and_the_rest_is_counted(
    browser: "sync_api.Browser", paged: Opened
):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(paged.page.url)
    assert page.locator("#leaderboard-table tbody tr:visible").count() == 3
    assert "The first 3 of 4 rows" in page.locator("#leaderboard-first:visible").inner_text()
    assert page.locator("#leaderboard-pages:visible").count() == 0
    page.context.close()


def names(opened: Opened) -> list[str]:
    return [text.rstrip(" ●") for text in opened.column(1)]


def test_costs_are_sorted_with_the_least_first(opened: Opened):
    seconds = opened.page.locator("#leaderboard-table th[scope=col]").filter(has_text="training s")
    seconds.locator("button").click()
    assert seconds.get_attribute("aria-sort") == "ascending"


def test_the_picker_draws_what_is_picked(opened: Opened):
    parts, lines_of_one = 2, SEEDS + 1  # the seeds and their mean
    opened.wait_for_lines(2 * parts * lines_of_one)
    opened.page.locator("#curve-none").click()
    opened.wait_for_lines(0)
    configurations = opened.page.locator("#curve-list .configuration input")
    configurations.nth(3).check()
    opened.wait_for_lines(parts * lines_of_one)
    opened.page.locator("#curve-list > div").nth(0).locator(".seed input").nth(1).check()
    opened.wait_for_lines(parts * lines_of_one + parts)  # one seed has no mean
    assert configurations.nth(0).evaluate("box => box.indeterminate")
    opened.page.locator("#curve-controls [value=test]").check()
    opened.wait_for_lines(3 * lines_of_one + 3)
    assert "4 of 12 runs shown" in opened.page.locator("#curve-note").inner_text()


def test_the_list_of_configurations_can_be_filtered(opened: Opened):
    opened.page.locator("#curve-find").fill("unet DICE")
    shown = opened.page.locator("#curve-list > div:visible .configuration").all_inner_texts()
    assert [text.strip() for text in shown] == ["unet-dice-b8"]


def test_losses_can_be_drawn_on_a_log_scale(opened: Opened):
    title = opened.page.locator("#curve-loss svg .role-axis-title").filter(has_text="logarithmic")
    assert title.count() == 0
    opened.page.locator("#curve-log").check()
    title.first.wait_for(state="attached")
    opened.page.locator("#curve-log").uncheck()
    title.first.wait_for(state="detached")


def test_smoothing_is_off_at_first_and_moves_the_lines(opened: Opened):
    def drawn() -> list[str]:
        paths = opened.page.locator("#curve-score svg g.mark-line path")
        return paths.evaluate_all("paths => paths.map(path => path.getAttribute('d'))")

    slider = opened.page.locator("#curve-smoothing")
    assert slider.input_value() == "0"
    before = drawn()
    slider.evaluate("box => { box.value = '0.8'; box.dispatchEvent(new Event('change', {bubbles: true})); }")
    opened.page.wait_for_function(
        "old => document.querySelector('#curve-score svg g.mark-line path')?.getAttribute('d') !== old",
        arg=before[0],
    )
    assert len(drawn()) == len(before)


def test_the_cost_of_the_plot_can_be_chosen(opened: Opened):
    def title(text: str) -> "sync_api.Locator":
        return opened.page.locator("#pareto svg .role-axis-title").filter(has_text=text)

    assert title("multiply-adds").count()
    opened.page.locator("#pareto-cost").select_option("seconds")
    title("seconds of training").first.wait_for(state="attached")


def test_the_same_images_are_shown_with_the_masks_of_another_model(opened: Opened):
    ids, ious = opened.page.locator("#images figcaption"), opened.page.locator("#images figcaption b")
    leading = [float(text.split()[1]) for text in ious.all_inner_texts()]
    captions = [text.split()[0] for text in ids.all_inner_texts()]
    opened.page.locator("#images-model").focus()
    opened.page.keyboard.press("ArrowDown")
    other = [float(text.split()[1]) for text in ious.all_inner_texts()]
    assert [b - a for a, b in zip(leading, other, strict=True)] == pytest.approx(
        [0.05] * len(leading), abs=0.002
    )
    assert [text.split()[0] for text in ids.all_inner_texts()] == captions
    opened.page.locator("#images-model").select_option(index=0)
    assert [float(text.split()[1]) for text in ious.all_inner_texts()] == leading


def test_without_scripts_the_leading_model_is_shown_and_no_choice_is_offered(browser, report: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert not page.locator("#images-model").is_visible()
    assert page.locator("#images figure img").first.evaluate("image => image.naturalWidth") > 100
    context.close()


def test_a_point_of_a_curve_tells_its_values(opened: Opened):
    point = opened.page.locator("#curve-score svg g.mark-symbol.layer_2_marks path").nth(3)
    point.hover(force=True)
    opened.page.locator("#vg-tooltip-element.visible").wait_for()
    said = opened.page.locator("#vg-tooltip-element").inner_text()
    assert "unet" in said
    assert "epoch" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_but_tables_scrolls_sideways(browser, report: Path, width: int, scheme: str):
    opened = Opened(browser, report, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in background.strip("rgb()").split(",")) / 3
    assert lightness < 60 if scheme == "dark" else lightness > 200
    opened.context.close()
    assert opened.errors == []


def test_the_first_column_stays_when_the_leaderboard_is_scrolled(browser, report: Path):
    opened = Opened(browser, report, viewport={"width": 390, "height": 844})
    name = opened.page.locator("#leaderboard-table tbody .name").first
    box = opened.page.locator(".scroll:has(> #leaderboard-table)")
    left = name.bounding_box()["x"]
    box.evaluate("box => { box.scrollLeft = 300; }")
    assert box.evaluate("box => box.scrollLeft") > 100
    assert abs(name.bounding_box()["x"] - box.bounding_box()["x"]) < 2
    assert name.bounding_box()["x"] <= left
    opened.context.close()


def test_it_prints_without_controls(browser, report: Path, tmp_path: Path):
    opened = Opened(browser, report)
    opened.page.emulate_media(media="print")
    assert not opened.page.locator(".picker").is_visible()
    assert opened.page.locator("#leaderboard-table").is_visible()
    file = tmp_path / "report.pdf"
    opened.page.pdf(path=file, prefer_css_page_size=True)
    assert file.stat().st_size > 20_000
    opened.context.close()
