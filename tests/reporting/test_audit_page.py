"""The page of an audit: pictures, ticks and lists, in a browser without network."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import disc, photo, save
from offline_browser import offline_page

import segstudy
from segstudy.config.protocol import Protocol
from segstudy.core.errors import UserError
from segstudy.data.samples import Sample
from segstudy.mask_errors.audit import Audit, AuditedMask
from segstudy.mask_errors.predictions import Networks
from segstudy.reporting.audit_page import GENERATOR, write_audit_page
from segstudy.reporting.audit_table import facts

SIDE = (60, 80)
IDS = ("<b>worst", "#second", "third", "fourth")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Four masks; the networks predict discs, the first mask is empty."""
    root = tmp_path_factory.mktemp("pictures")
    samples, probs = {}, {}
    for i, sample_id in enumerate(IDS):
        mask = np.zeros(SIDE, bool) if i == 0 else disc(i, SIDE)[1]
        image = save(root / f"{i}.png", np.asarray(photo(i, SIDE)))
        samples[sample_id] = Sample(sample_id, image, save(root / f"m{i}.png", mask), f"g{i}")
        probs[sample_id] = np.uint8(255) * disc(i + 1, (32, 32))[1]
    samples["untested"] = samples["third"]
    found = [("empty", 1.0, ""), ("swapped", 0.9, "third"), ("", None, ""), ("", None, "")]
    masks = tuple(
        AuditedMask(sample_id, 0.9 - 0.1 * i, 0.1 * i, 0.9, 2, kind, explained, partner)
        for i, (sample_id, (kind, explained, partner)) in enumerate(zip(IDS, found, strict=True))
    )
    networks = Networks(("unet-bce-b8",), (), Protocol(image_size=32), {"lower validation IoU": 2})
    return Audit("pictures", networks, masks, samples, probs)


@pytest.fixture(scope="module")
def file(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "audit.html"
    assert write_audit_page(audit, file) == len(IDS)
    return file


def data_of(file: Path) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', file.read_text("utf-8"))
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["a.txt", "page", "html"])
def test_a_page_must_be_named_as_one(audit: Audit, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"--html must be a file that ends with \.html, got .*{name}"):
        write_audit_page(audit, tmp_path / name)
    calls = [
        lambda: segstudy.audit("nowhere", html=tmp_path / name),
        lambda: segstudy.check("synthetic:n=6", html=tmp_path / name),
    ]
    for call in calls:
        with pytest.raises(UserError, match=r"--html must be a file that ends with \.html"):
            call()
    with pytest.raises(UserError, match=r"--out must be a file that ends with \.html"):
        segstudy.compare_sets("a", "b", out=tmp_path / name)
    assert not (tmp_path / name).exists()


def test_that_the_networks_are_too_weak_comes_first(audit: Audit, tmp_path: Path) -> None:
    weak = replace(audit, warning="These networks are no better than a mask that looks at no image.")
    assert facts(weak, 4)[0] == weak.warning
    assert facts(audit, 4) == facts(weak, 4)[1:]


def test_the_page_needs_no_network_and_says_what_was_left_out(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)
    assert str(file.parent) not in text
    assert "<b>worst" not in text
    assert "1 of 5 samples were not tested and are not ranked" in text
    assert "Configurations not used: 2 (lower validation IoU)." in text
    assert [card["id"] for card in data_of(file)["cards"]] == list(IDS)
    assert data_of(file)["cards"][1]["suspected"] == "swapped with third"


def test_without_pictures_nothing_of_the_data_is_on_the_page(audit: Audit, tmp_path: Path) -> None:
    write_audit_page(audit, tmp_path / "audit.html", images=False)
    text = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "data:image" not in text
    assert "Written without pictures" in text
    assert [card["id"] for card in data_of(tmp_path / "audit.html")["cards"]] == list(IDS)


def test_another_file_is_not_replaced_and_its_own_page_is(audit: Audit, tmp_path: Path) -> None:
    other = tmp_path / "mine.html"
    other.write_text('<meta name="generator" content="segstudy check">', encoding="utf-8")
    with pytest.raises(UserError, match="not written by audit"):
        write_audit_page(audit, other)
    for _ in range(2):
        write_audit_page(audit, tmp_path / "audit.html", images=False)
    assert f'content="{GENERATOR}"' in (tmp_path / "audit.html").read_text(encoding="utf-8")


@pytest.fixture
def page(file: Path) -> Iterator[Any]:
    with offline_page(file) as page:
        yield page


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ticks_become_two_lists_to_copy_or_save(page: Any) -> None:
    page.wait_for_selector(".card img")
    assert page.locator(".card .name").all_text_contents() == [
        f"{i}. {each}" for i, each in enumerate(IDS, 1)
    ]
    page.get_by_label("exclude #second", exact=True).check()
    page.get_by_label("exclude third", exact=True).check()
    page.get_by_label("relabel third", exact=True).check()
    assert not page.get_by_label("exclude third", exact=True).is_checked(), "a sample is on one list"
    page.locator(".card").nth(3).focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#large")
    assert dialog.locator("h2").inner_text() == "fourth"
    page.keyboard.press("e")
    assert dialog.get_by_label("exclude fourth", exact=True).is_checked()
    page.keyboard.press("ArrowLeft")
    assert dialog.locator("h2").inner_text() == "third"
    page.keyboard.press("Escape")
    assert page.get_by_label("exclude fourth", exact=True).is_checked()
    button = page.get_by_role("button", name="exclude 2 · relabel 1")
    button.click()
    lines = page.locator("textarea#exclude").input_value().splitlines()
    assert lines[0].startswith("# exclude: 2 of pictures")
    assert lines[1:] == ["\\#second", "fourth"], (
        "an id that begins with # is escaped as `run --exclude` reads it"
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="save as relabel.txt").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").splitlines()[1:] == ["third"]
    page.get_by_role("button", name="copy").first.click()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_masks_are_shown_by_suspected_error_and_outlines_can_be_hidden(page: Any) -> None:
    page.get_by_role("button", name="swapped 1", exact=True).click()
    assert page.locator(".card .name").all_text_contents() == ["2. #second"]
    assert page.locator(".card .kind").inner_text() == "swapped with third?"
    page.get_by_role("button", name="all 4").click()
    page.fill("#find", "g3")
    assert page.locator(".card .name").all_text_contents() == ["4. fourth"]
    page.wait_for_selector(".card img.prediction")
    assert page.locator(".card img.prediction").is_visible()
    page.uncheck("#predictions")
    assert not page.locator(".card img.prediction").is_visible()
    assert page.locator(".card img.mask").is_visible()
