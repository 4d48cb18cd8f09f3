"""The Markdown card: what comes from data and users is text in it; and names of files for any system."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.core.atomic_files import file_name
from segstudy.deploy.export.card_markdown import as_markdown, plain
from segstudy.deploy.export.parity import export_name

EVIL = "<img src=x onerror=alert(1)> | [a](javascript:b) **c** `d` $e$\n# f"


def card(evil: str) -> dict:
    score = {"native_iou": {"mean": 0.5, "low": None, "high": None}}
    return {
        "name": evil,
        "key": evil,
        "architecture": evil,
        "loss": evil,
        "num_parameters": 3,
        "data": {
            **dict.fromkeys(("name", "reader", "fingerprint", "terms", "citation"), evil),
            "num_images": 3,
        },
        "protocol": {"image_size": [32, 32], evil: evil},
        "seed": 0,
        "fold": None,
        "selection": {"by": evil, "epoch": 1, "tuned_threshold": 0.5},
        "scores": {"validation": score, "test": score},
        "subgroups": [{"kind": "category", "name": evil, "num_images": 2, "iou": score["native_iou"]}],
        "environment": {evil: {evil: evil}},
        "started": evil,
        "intended_use": "x",
        "limits": ["y"],
    }


def test_no_html_and_no_markup_of_data_is_in_the_card():
    text, calm = as_markdown(card(EVIL)), as_markdown(card("word"))
    assert not re.search(r"(?<!\\)<", text)
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\[a", text)
    assert not re.search(r"(?<!\\)\*", text)
    for line, expected in zip(text.splitlines(), calm.splitlines(), strict=True):
        bars = re.findall(r"(?<!\\)\|", line)
        assert len(bars) == expected.count("|"), line
        assert line.startswith("#") == expected.startswith("#"), line


def classes(evil: str) -> dict:
    scores = {"disc": {"native_iou": 0.75, "native_dice": 0.857}, evil: {"native_iou": 0.5}}
    return {
        **{"task": "multiclass", "names": ["background", "disc", evil], "scored": ["disc", evil]},
        **{"values": f"background=0,disc=1,{evil}=2", "ignore": [255], "scores": {"test": scores}},
    }


def test_several_classes_are_named_and_each_has_its_scores():
    several = card("x") | {"classes": classes("cup")}
    several["selection"]["tuned_threshold"] = None
    text = as_markdown(several)
    assert "| classes | background=0,disc=1,cup=2 |" in text
    assert "| decision | the most probable class |" in text
    assert "| ignored mask values | 255 |" in text
    assert "| disc | 0.750 | 0.857 |" in text
    assert "| cup | 0.500 |  |" in text
    assert "threshold" not in text
    assert re.search(
        r"Per image at its own size, the most probable class, scores over foreground classes", text
    )
    evil = as_markdown(card("x") | {"classes": classes(EVIL)})
    assert not re.search(r"(?<!\\)<|(?<!\\)\[a", evil)


@given(st.text())
def test_any_text_is_one_line_without_markup(text):
    found = plain(text)
    assert "\n" not in found
    assert not set("<>") & set(found)
    assert not re.search(r"(?<!\\)(\\\\)*[*`|\[\]]", found)


def test_ordinary_names_stay_as_they_are():
    for name in ("dilated_unet-bce-b4-seed0", "common nevus", "unet:skips=false", "PH2Dataset", "2.5"):
        assert plain(name) == name


RESERVED = ("con", "PRN", "aux.txt", "NUL", "com1", "LPT9.x", "nul .onnx")


@pytest.mark.parametrize(
    "name", [*RESERVED, 'a<b>c:d"e/f\\g|h?i*j', "x.", " y ", "..", "", "\x00\x1f", "z. ."]
)
def test_names_of_files_are_legal_on_any_system(name):
    found = file_name(name)
    assert found
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', found)
    assert found == found.strip(". ")
    assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)( *\..*)?", found, re.IGNORECASE)


def test_exports_of_models_that_differ_in_such_characters_only_do_not_replace_each_other():
    first, second = export_name("a/my.py:Net", "", "0" * 16), export_name("a-my.py:Net", "-int8", "1" * 16)
    assert first != second
    assert export_name("unet-bce-b4-seed0", "-int8", "0" * 16) == "unet-bce-b4-seed0-int8"
