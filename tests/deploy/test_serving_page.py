"""The page of `segstudy serve` in a real browser: images in, masks and numbers out, also by keyboard."""

import io
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from class_networks import EXCLUSIVE, OVERLAPPING, eye, network
from PIL import Image
from reverse_proxy import Proxy

from segstudy.deploy.predict.measurements import measured
from segstudy.deploy.predict.predictor import Predictor
from segstudy.deploy.serving.app import create_app
from segstudy.deploy.serving.site import Site

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = os.environ.get("SEGSTUDY_CHROMIUM") or shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: SEGSTUDY_CHROMIUM may name one"),
    pytest.mark.filterwarnings("ignore"),  # exporters, and Playwright's own event loop
]
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def study(trained_study) -> Path:
    return trained_study


@pytest.fixture(scope="module")
def predictor(exported_model) -> Predictor:
    return Predictor(exported_model)


class Running(threading.Thread):
    """A server in a thread of this process."""

    def __init__(self, predictor: Predictor, **options: object):
        super().__init__(daemon=True)
        config = uvicorn.Config(create_app(predictor, 2, **options), port=0, log_level="error")
        self.server, self.socket = uvicorn.Server(config), config.bind_socket()
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"
        self.start()

    def run(self) -> None:
        self.server.run(sockets=[self.socket])

    def stop(self) -> None:
        self.server.should_exit = True
        self.join()


@pytest.fixture(scope="module")
def url(predictor) -> Iterator[str]:
    running = Running(predictor)
    yield running.url
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser, url) -> Iterator["sync_api.Page"]:
    yield from opened(browser, url)


def opened(browser, url: str, **options) -> Iterator["sync_api.Page"]:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda r: r.url.startswith((url, "blob:", "data:")) or errors.append(f"asked: {r.url}")
    )
    page.goto(url)
    yield page
    context.close()
    assert [each for each in errors if "401" not in each and "422" not in each] == []


def files(study: Path, *names: str) -> list[str]:
    return [str(study.parent / "discs" / "images" / f"{name}.png") for name in names]


def add(page, *paths: str) -> None:
    page.set_input_files("#files", list(paths))
    page.locator("#list li canvas").nth(len(paths) - 1).wait_for()


def shown(page) -> dict[str, str]:
    rows = page.locator("#measures tr")
    return {row.locator("th").inner_text(): row.locator("td").inner_text() for row in rows.all()}


def pixels(page) -> np.ndarray:
    return np.array(
        page.evaluate(
            "() => { const c = document.getElementById('canvas');"
            " return [c.height, c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }"
        )
    )


def test_an_image_is_chosen_and_its_numbers_are_the_server_s(page, study, predictor):
    (file,) = files(study, "disc00")
    add(page, file)
    mask, probability = predictor(file)
    numbers = measured(mask, probability)
    said = shown(page)
    area, _, share = said["Area"].partition(" px, ")
    assert area == f"{numbers.area_px:,}"
    # Where the next digit is a 5, browsers round up and Python to the even one.
    assert float(share.partition(" %")[0]) == pytest.approx(100 * numbers.area_frac, abs=0.0501)
    assert said["Parts"] == str(numbers.num_parts)
    assert (
        said["Confidence (mean probability)"] == pytest.approx(f"{numbers.confidence:.3f}", abs=0)
        or abs(float(said["Confidence (mean probability)"]) - numbers.confidence) < 0.003
    )
    if numbers.area_px:
        box = f"{numbers.width_px} × {numbers.height_px} px at {numbers.left_px}, {numbers.top_px}"
        assert said["Bounding box"] == box
    assert "test IoU" in page.locator("#model").inner_text()


def test_the_sliders_act_at_once_and_in_the_browser(page, study):
    add(page, *files(study, "disc00"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    before, area = pixels(page), shown(page)["Area"]
    page.locator("#opacity").focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(100)
    assert page.locator("#opacity-value").inner_text() == "65 %"
    assert not np.array_equal(pixels(page), before)
    page.locator("#threshold").focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(100)
    assert page.locator("#threshold-value").inner_text() == "0.01"
    assert shown(page)["Area"] != area
    assert not asked


def test_views_by_key_and_images_by_arrow(page, study):
    add(page, *files(study, "disc00", "disc01", "disc02"))
    page.locator("body").press("ArrowRight")
    first = page.locator("#name").inner_text()
    looks = []
    for key in "1234":
        page.locator("body").press(key)
        looks.append(pixels(page).tobytes())
    assert len(set(looks)) == 4
    page.locator("body").press("ArrowRight")
    assert page.locator("#name").inner_text() != first
    page.locator("body").press("ArrowLeft")
    assert page.locator("#name").inner_text() == first
    assert page.locator('#list [aria-selected="true"]').count() == 1


def test_all_of_it_by_keyboard(page, study):
    page.get_by_text("test IoU").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(files(study, "disc03"))
    page.locator("#list li canvas").wait_for()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"list", "view", "opacity", "threshold", "download", "download-all"} <= reached


def test_the_mask_is_saved_at_the_image_s_own_size(page, study, predictor, tmp_path):
    (file,) = files(study, "disc04")
    add(page, file)
    with page.expect_download() as saved:
        page.locator("body").press("d")
    assert saved.value.suggested_filename == "disc04-mask.png"
    saved.value.save_as(tmp_path / "mask.png")
    mask = np.asarray(Image.open(tmp_path / "mask.png").convert("L")) > 0
    assert np.array_equal(mask, predictor(file).mask)
    with page.expect_download() as saved:
        page.locator("#download-all").click()
    saved.value.save_as(tmp_path / "all.csv")
    header, row = (tmp_path / "all.csv").read_text().splitlines()
    assert header.startswith("image,area_px,")
    assert row.startswith(f"disc04.png,{mask.sum()},")


def test_images_are_dropped_and_pasted(page, study):
    content = list(Path(files(study, "disc05")[0]).read_bytes())
    for kind, name in (("drop", "dropped.png"), ("paste", "pasted.png")):
        page.evaluate(
            """([kind, name, content]) => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(content)], name, { type: "image/png" }));
              const event = kind === "drop"
                ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
              document.body.dispatchEvent(event);
            }""",
            [kind, name, content],
        )
    page.locator("#list li canvas").nth(1).wait_for()
    assert page.locator("#list span").all_inner_texts()[0].startswith("dropped.png")


def test_what_cannot_be_used_is_said_and_stops_nothing(page, study, tmp_path):
    (tmp_path / "<img src=x onerror=alert(1)>.png").write_bytes(b"no image")
    page.set_input_files(
        "#files", [str(tmp_path / "<img src=x onerror=alert(1)>.png"), *files(study, "disc06")]
    )
    page.locator("#list li canvas").wait_for()
    assert "not an image" in page.locator("#list .bad").inner_text()
    assert page.locator("#list img").count() == 0


def test_a_phone_scrolls_down_only(browser, url, study):
    for page in opened(browser, url, viewport={"width": 390, "height": 844}):
        add(page, *files(study, "disc00", "disc01", "disc02"))
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.locator("#canvas").bounding_box()["width"] <= 390


def test_a_server_with_a_token_asks_for_it(browser, predictor, study):
    running = Running(predictor, token=TOKEN)
    try:
        for page in opened(browser, running.url):
            page.locator("#token").wait_for()
            page.locator("#token").fill(TOKEN)
            page.keyboard.press("Enter")
            page.get_by_text("test IoU").wait_for()
            add(page, *files(study, "disc00"))
    finally:
        running.stop()


def test_the_server_s_picture_is_the_page_s_truth(predictor):
    """8-bit probabilities cut at 128 are the mask at .5."""
    rng = np.random.default_rng(0)
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(stream, "PNG")
    mask, probability = predictor(np.asarray(Image.open(stream)))
    assert np.array_equal(np.rint(probability * 255) >= 128, mask)


@pytest.mark.parametrize("kept", [True, False], ids=["proxy keeps the prefix", "proxy removes it"])
def test_behind_a_proxy_all_of_it_works_below_the_prefix(browser, study, predictor, kept):
    """From the address without the last slash: the page, its own files, an image, and the description."""
    running = Running(predictor, site=Site(path_prefix="/tools/skin"))
    proxy = Proxy(running.url, "/tools/skin", keeps_prefix=kept)
    try:
        opening = opened(browser, f"{proxy.url}/tools/skin")
        page = next(opening)
        if kept:
            assert page.url == f"{proxy.url}/tools/skin/"
        (file,) = files(study, "disc01")
        add(page, file)
        mask, probability = predictor(file)
        numbers = measured(mask, probability)
        assert shown(page)["Area"].startswith(f"{numbers.area_px:,} px, {100 * numbers.area_frac:.1f} %")
        links = page.eval_on_selector_all("a[href]", "all => all.map(each => each.href)")
        own = [link for link in links if link.startswith(proxy.url)]
        assert own
        assert all(link.startswith(f"{proxy.url}/tools/skin/") for link in own)
        for link in own:
            assert page.request.get(link).ok, link
        assert list(opening) == []
        assert proxy.missing in ([], ["/favicon.ico"])
    finally:
        proxy.stop()
        running.stop()


@pytest.fixture(params=[EXCLUSIVE, OVERLAPPING], ids=["exclusive", "overlapping"])
def of_classes(request, browser) -> Iterator[tuple["sync_api.Page", Predictor]]:
    """The page of a model with several classes."""
    predictor = Predictor([network(request.param)])
    running = Running(predictor)
    try:
        for page in opened(browser, running.url):
            yield page, predictor
    finally:
        running.stop()


@pytest.fixture
def picture(tmp_path) -> str:
    Image.fromarray(eye()).save(tmp_path / "eye.png")
    return str(tmp_path / "eye.png")


def test_every_class_has_a_switch_and_its_numbers(of_classes, picture):
    page, predictor = of_classes
    add(page, picture)
    mask, probability = predictor(eye())
    scored = predictor.outputs.scored
    names = [predictor.outputs.names[number] for number in scored]
    assert page.locator("#switches label").all_inner_texts() == names
    rows = page.locator("#measures tr:not(:first-child)").all()
    for row, number, name in zip(rows, scored, names, strict=True):
        numbers = measured(predictor.outputs.plane(mask, number), probability[number])
        said = row.locator("th, td").all_inner_texts()
        assert said[:3] == [name, f"{numbers.area_px:,} px", f"{100 * numbers.area_frac:.1f} %"]
        assert said[4:6] == [str(numbers.num_parts), "yes" if numbers.touches_border else "no"]
    assert page.locator("#cut").is_visible() == predictor.outputs.has_threshold
    before, asked = pixels(page), []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#switches input").last.uncheck()
    page.wait_for_timeout(100)
    assert not np.array_equal(pixels(page), before)
    assert not asked


def test_windows_give_the_masks_of_classes_at_the_images_own_size(browser, picture):
    predictor = Predictor([network(EXCLUSIVE, resize="tiles", overlap=8)])
    running = Running(predictor)
    for page in opened(browser, running.url):
        add(page, picture)
        assert page.locator("#model").inner_text().endswith("windows of 32 × 32 px at the image's own size")
        mask, _ = predictor(eye())
        row = page.locator("#measures tr").last.locator("th, td").all_inner_texts()
        assert row[:2] == ["cup", f"{(mask == 2).sum():,} px"]
    running.stop()


def test_the_probability_of_a_class_is_chosen(of_classes, picture):
    page, predictor = of_classes
    add(page, picture)
    assert not page.locator("#class").is_visible()
    page.locator("input[value=probability]").check()
    page.locator("#opacity").fill("100")
    page.locator("#class").select_option(label="cup")
    expected = np.rint(predictor(eye()).probability[-1] * 255)
    page.wait_for_function("() => !state.current.asked && state.current.planes.at(-1)")
    page.wait_for_timeout(100)
    height, width, *values = pixels(page)
    assert np.abs(np.reshape(values, (height, width, 4))[..., 0] - expected).max() <= 1


def test_masks_of_classes_are_saved_as_predict_writes_them(of_classes, picture, tmp_path):
    page, predictor = of_classes
    add(page, picture)
    mask = predictor(eye()).mask
    saved = []
    page.on("download", lambda file: saved.append(file))  # noqa: PLW0108 (the library marks functions)
    page.locator("#download").click()
    page.get_by_text("saved").wait_for()
    page.wait_for_timeout(300)
    for each in saved:
        each.save_as(tmp_path / each.suggested_filename)
    names = [each.suggested_filename for each in saved]
    if predictor.outputs.task == "multiclass":
        assert names == ["eye-mask.png"]
        with Image.open(tmp_path / "eye-mask.png") as image:
            assert image.mode == "P"
            assert np.array_equal(np.asarray(image), mask)
    else:
        assert names == ["eye-optic disc-mask.png", "eye-cup-mask.png"]
        with Image.open(tmp_path / names[1]) as image:
            assert np.array_equal(np.asarray(image.convert("L")) > 0, predictor.outputs.plane(mask, 1))
    with page.expect_download() as table:
        page.locator("#download-all").click()
    table.value.save_as(tmp_path / "all.csv")
    header, *lines = (tmp_path / "all.csv").read_text().splitlines()
    assert header.startswith("image,class,area_px,")
    assert [line.split(",")[1] for line in lines] == ["optic disc", "cup"]
