"""The contact sheet: what it holds, what it leaves out and says so, and how it works in a browser."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import disc, photo, save
from offline_browser import offline_page
from PIL import Image

import segstudy
from segstudy.cli.studies import main
from segstudy.core.errors import UserError
from segstudy.data.survey import survey
from segstudy.reporting import contact_sheet as module
from segstudy.reporting.contact_sheet import write_contact_sheet
from segstudy.reporting.small_pictures import FILL, HALO, LINE, layer_places

HOSTILE = "<img src=x onerror=alert(1)>"
SIDE = (120, 160)


def blob(seed: int) -> np.ndarray:
    return disc(seed, SIDE)[1]


def write(root: Path, number: int = 8) -> Path:
    """Good samples, but for one with an inverted mask, one with an empty one and one that is unreadable."""
    for i in range(number):
        save(root / "images" / f"p{i}.png", np.asarray(photo(i, SIDE)))
        save(root / "masks" / f"p{i}.png", blob(i))
    save(root / "masks" / "p1.png", ~blob(1))
    save(root / "masks" / "p3.png", np.zeros(SIDE, bool))
    (root / "images" / "p5.png").write_bytes(b"no picture")
    save(root / "images" / f"{HOSTILE}.png", np.asarray(photo(90, SIDE)))
    save(root / "masks" / f"{HOSTILE}.png", blob(90))
    save(root / "images" / "alone.png", np.asarray(photo(91, SIDE)))
    rows = [f"p{i},g{i // 2},{('train', 'validation', 'test')[i // 2 % 3]}" for i in range(number)]
    text = "\n".join(["id,group,part", *rows, f"{HOSTILE},{HOSTILE},test"])
    (root / "metadata.csv").write_text(text + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write(tmp_path_factory.mktemp("sheet") / "pictures")
    file = root.parent / "check.html"
    segstudy.check(root, html=file)
    return file


def data_of(file: Path) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', file.read_text("utf-8"))
    return json.loads(text)  # type: ignore[no-any-return]


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_flagged_samples_come_first_with_their_findings_the_gravest_on_top(sheet: Path) -> None:
    data = data_of(sheet)
    kinds = [(kind["severity"], kind["kind"]) for kind in data["kinds"]]
    found = {
        sample["id"]: [kinds[i][1] for i in sample["findings"] if kinds[i][0] != "note"]
        for sample in data["samples"]
    }
    assert list(found.items())[:3] == [
        ("p5", ["unreadable image"]),
        ("p1", ["inverted mask suspected"]),
        ("p3", ["empty mask"]),
    ]
    assert not any(list(found.values())[3:])
    assert len(found) == 9
    details = next(sample["details"] for sample in data["samples"] if sample["id"] == "p3")
    assert "no foreground at all" in details[0]


def test_findings_about_no_sample_and_the_rule_of_masks_stand_at_the_top(sheet: Path) -> None:
    text = sheet.read_text(encoding="utf-8").partition("<main")[0]
    assert "unpaired image" in text
    assert "images/alone.png" in text
    assert "(masks = larger)" in text
    assert "9 pairs" in text
    assert "in 9 samples" in text


def test_pictures_and_outlines_are_of_the_images_and_masks(sheet: Path) -> None:
    by_id = {sample["id"]: sample for sample in data_of(sheet)["samples"]}
    assert by_id["p5"]["picture"] == by_id["p5"]["layer"] == ""
    assert by_id["p3"]["layer"]
    assert by_id["p0"]["foreground_frac"] == pytest.approx(blob(0).mean())
    picture, layer = decoded(by_id["p0"]["picture"]), decoded(by_id["p0"]["layer"])
    assert picture.size == layer.size == (160, 120) == tuple(by_id["p0"]["size_px"])
    difference = np.asarray(picture.convert("RGB"), float) - np.asarray(photo(0, SIDE), float)
    assert np.abs(difference).mean() < 12
    covered = np.asarray(layer.convert("RGBA"))
    inside = (covered[..., 3] > 0) & (covered[..., 1] > 0)  # not the dark line around
    assert (inside & blob(0)).sum() > 0.99 * blob(0).sum()


def test_the_page_needs_no_network_and_says_nothing_of_this_machine(sheet: Path) -> None:
    text = sheet.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)
    assert str(sheet.parent) not in text
    assert HOSTILE not in text.replace("\\u003c", "<").partition("<main")[0].partition("<noscript")[2]
    assert "<img src=x" not in text


def test_the_smallest_object_keeps_an_outline() -> None:
    mask = np.zeros((2000, 3000), bool)
    mask[700:703, 900:903] = True
    places = layer_places(mask, (160, 107))
    assert (places == LINE).any()
    full = layer_places(np.ones((200, 300), bool), (160, 107))
    assert (full == FILL).all(), "the frame is no outline"
    assert not layer_places(np.zeros((200, 300), bool), (160, 107)).any()
    square = np.zeros((40, 40), bool)
    square[10:30, 10:30] = True
    places = layer_places(square, (40, 40))
    assert places[20, 20] == FILL
    assert places[10, 20] == LINE
    assert places[9, 20] == HALO
    assert places[5, 5] == 0


def test_of_too_many_samples_the_flagged_ones_and_some_others_are_shown_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = survey(write(tmp_path / "pictures"))
    monkeypatch.setattr(module, "MAX_SHOWN", 5)
    assert write_contact_sheet(found, tmp_path / "few.html") == 5
    ids = [sample["id"] for sample in data_of(tmp_path / "few.html")["samples"]]
    assert ids[:3] == ["p5", "p1", "p3"]
    text = (tmp_path / "few.html").read_text(encoding="utf-8")
    assert "Shown are 5 of 9 samples: 3 with errors or warnings, and 2 others, evenly spaced." in text


@pytest.mark.slow
def test_pictures_shrink_before_any_is_left_out_and_their_bytes_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pictures"
    for i in range(6):
        save(root / "images" / f"{i}.png", np.asarray(photo(i, (400, 520))))
        save(root / "masks" / f"{i}.png", disc(i, (400, 520))[1])
    found = survey(root)
    sides = {}
    for most in (24_000_000, 60_000, 20_000):
        monkeypatch.setattr(module, "MAX_BYTES", most)
        num_shown = write_contact_sheet(found, tmp_path / "check.html")
        samples = data_of(tmp_path / "check.html")["samples"]
        assert num_shown == len(samples) > 0
        assert sum(len(sample["picture"]) + len(sample["layer"]) for sample in samples) <= most
        sides[most] = samples[0]["size_px"][0], num_shown
    assert sides[24_000_000] == (512, 6)
    assert sides[60_000][0] < 512
    assert sides[20_000][1] < 6
    assert "of 6 samples" in (tmp_path / "check.html").read_text(encoding="utf-8")


def test_another_file_is_not_replaced_and_its_own_page_is(tmp_path: Path) -> None:
    found = survey(write(tmp_path / "pictures"))
    other = tmp_path / "mine.html"
    other.write_text("<!doctype html><p>mine", encoding="utf-8")
    with pytest.raises(UserError, match="not written by check"):
        write_contact_sheet(found, other)
    assert other.read_text(encoding="utf-8") == "<!doctype html><p>mine"
    write_contact_sheet(found, tmp_path / "check.html")
    write_contact_sheet(found, tmp_path / "check.html")


def test_a_wrong_place_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        segstudy.check(tmp_path / "no data either", html=tmp_path / "nowhere" / "check.html")
    with pytest.raises(UserError, match=r"must be a file that ends with \.html"):
        segstudy.check(tmp_path / "no data either", html=tmp_path)


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "pictures")
    with pytest.raises(SystemExit) as ended:
        main(["check", str(root), "--html", str(tmp_path / "check.html"), "--json"])
    assert ended.value.code == 2, "an image cannot be read"
    said = capsys.readouterr()
    assert "check.html: 9 of 9 samples; open it in a browser" in said.err.replace("\n", " ")
    assert json.loads(said.out)
    assert len(data_of(tmp_path / "check.html")["samples"]) == 9


def test_a_reason_that_explains_many_findings_replaces_them_on_the_page(tmp_path: Path) -> None:
    """Images and masks exchanged: one error of the set, and not one for each file."""
    root = write(tmp_path / "pictures")
    (root / "images" / "p5.png").unlink()
    (root / "images").rename(root / "m")
    (root / "masks").rename(root / "images")
    (root / "m").rename(root / "masks")
    found = survey(root)
    assert "images and masks exchanged" in {problem.kind for problem in found.problems}
    write_contact_sheet(found, tmp_path / "check.html")
    kinds = {kind["kind"] for kind in data_of(tmp_path / "check.html")["kinds"]}
    assert kinds <= {problem.kind for problem in found.problems}


# In a browser


@pytest.fixture
def page(sheet: Path) -> Iterator[Any]:
    with offline_page(sheet) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"dialog: {dialog.message}"))
        page.wait_for_selector(".card img")
        yield page


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_sheet_filters_sorts_and_enlarges(page: Any) -> None:
    def names() -> list[str]:
        return page.locator(".card .name").all_text_contents()  # type: ignore[no-any-return]

    assert names()[:3] == ["p5", "p1", "p3"]
    assert HOSTILE in names()
    page.get_by_role("button", name="1 empty mask", exact=True).click()
    assert names() == ["p3"]
    page.get_by_role("button", name="all 9").click()
    page.select_option("#sort", "most")
    assert names()[0] == "p1"
    page.select_option("#sort", "least")
    assert names()[0] == "p3"
    page.select_option("#sort", "id")
    page.select_option("#subset", "test")
    assert names() == [HOSTILE, "p4", "p5"]
    page.fill("#find", "p4")
    assert names() == ["p4"]
    page.fill("#find", "")
    page.locator(".card", has_text="p4").click()
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text() == "p4"
    assert "masks/p4.png" in dialog.inner_text()
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == "p5"
    assert "unreadable image" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.locator(".layer").first.is_visible()
    page.uncheck("#masks")
    assert not page.locator(".layer").first.is_visible()
