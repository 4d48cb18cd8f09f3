"""Naming an architecture or a loss, ours or anyone's own."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudy.core.errors import UserError
from segstudy.core.registry import Component, Extension, parse, resolve, source_hash


def network(
    width: int = 8, depth: int = 4, rate: float = 0.5, skips: bool = True, mode: str = "near"
) -> tuple:
    return width, depth, rate, skips, mode


TABLE = {"net": network, "other": lambda: None}
EXTENSION = Extension("architecture", object, lambda record: record, given=("width",))
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
WORDS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
VALUES = SCALARS | st.lists(SCALARS, max_size=3).map(tuple)


def canonical(text: str) -> str:
    return str(resolve(text, TABLE, EXTENSION)[0])


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=4))
def test_the_canonical_spelling_is_read_back_as_what_it_spells(name: str, options: dict) -> None:
    component = Component(name, tuple(sorted(options.items())))
    assert parse(str(component)) == component


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        assert parse(parse(text).spelling) == parse(text)
    except UserError as error:
        assert len(str(error).splitlines()) == 1 or "\n" in text  # noqa: PT017 (either outcome is right)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("net", "net"),
        ("net:skips=true:depth=4:rate=0.5:mode=near", "net"),
        ("net:skips=True", "net"),
        ("net:rate=.50", "net"),
        ("net:skips=false:depth=3", "net:depth=3:skips=false"),
        ("net:depth=3:skips=FALSE", "net:depth=3:skips=false"),
        ("net:depth=3.0", "net:depth=3"),
        ("net:rate=1", "net:rate=1.0"),
        ("net:mode=far", 'net:mode="far"'),
        ('net:mode="far"', 'net:mode="far"'),
        ('net:mode="3"', 'net:mode="3"'),
    ],
)
def test_equal_components_have_one_spelling_and_defaults_vanish(written: str, meant: str) -> None:
    assert canonical(written) == meant
    assert canonical(meant) == meant


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            "nett",
            "unknown architecture 'nett': use one of net, other, or name your own as file.py:Name or",
        ),
        ("net:deep=3", "net has no option 'deep': its options are depth, rate, skips, mode"),
        ("other:deep=3", "its options are none"),
        ("net:width=3", "no option 'width'"),
        ("net:depth=big", "depth has another type than 'big' .default 4."),
        ("net:depth=3.5", "depth has another type"),
        ("net:depth=true", "depth has another type"),
        ("net:rate=true", "rate has another type"),
        ("net:skips=1", "skips has another type"),
        ("net:mode=3", "mode has another type"),
        ("net:rate=nan", "a finite number"),
        ("net:rate=1e999", "a finite number"),
        ("net:rate=-inf", "a finite number"),
        ("net:depth=[3]", r"depth has another type than \[3\]"),
        ("net:depth=[[3]]", r"a list of these such as \[8,16\], not \[\[3\]\]"),
        ("net:depth=[3", r"a list of these such as \[8,16\], not \[3"),
        ("net:mode=[near]", r"a list of these such as \[8,16\], not \[near\]"),
        ("net:depth=null", "takes a finite number, true, false, a word"),
        ("net:depth=3:depth=4", "gives an option twice"),
        ("net:depth=" + "9" * 5000, "depth has another type|a finite number"),
        ("net:depth", "not of the form option=value"),
        ("net:", "not of the form option=value"),
        ("", "not of the form name:option=value"),
        ("my net", "not of the form name:option=value"),
        ("my.py", "name a class or function of the file"),
        ("none_there.py:Net", "no such file"),
    ],
)
def test_what_is_wrong_is_said_with_the_choices(wrong: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        canonical(wrong)


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    file = tmp_path / "my.py"
    file.write_text("def net(depth=3):\n    return depth\nno_function = 3\nbuilt_in = max\n")
    return file


def test_a_file_of_ones_own_is_named_without_its_folder(own_file: Path) -> None:
    component, target, version = resolve(f"{own_file}:net:depth=5", TABLE, EXTENSION)
    assert version == source_hash(component)
    assert str(component) == "my.py:net:depth=5"
    assert str(own_file.parent) not in str(component)
    assert target(**dict(component.options)) == 5


def test_the_spelling_of_a_file_of_ones_own_holds_in_every_folder(
    own_file: Path, tmp_path_factory, monkeypatch
) -> None:
    monkeypatch.chdir(own_file.parent)
    component = parse("my.py:net:depth=5")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert parse(component.spelling) == component


def test_the_hash_is_of_the_files_content_alone(own_file: Path) -> None:
    before = source_hash(parse(f"{own_file}:net"))
    copy = own_file.with_name("copy.py")
    copy.write_bytes(own_file.read_bytes())
    assert source_hash(parse(f"{copy}:net")) == before
    copy.write_text(copy.read_text() + "# more\n")
    assert source_hash(parse(f"{copy}:net")) != before


def test_ours_have_no_source_hash() -> None:
    assert source_hash(parse("net")) is None


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        ("def net(:\n", "net", "cannot be imported: SyntaxError"),
        ("import no_such_package\n", "net", "cannot be imported: ModuleNotFoundError"),
        ("raise RuntimeError('two\\nlines')\n", "net", "RuntimeError: two lines$"),
        ("net = 3\n", "net", "has no class or function 'net'"),
        ("", "net", "has no class or function 'net'"),
        ("net = max\n", "net", "does not show its parameters"),
    ],
)
def test_what_is_wrong_in_a_file_of_ones_own(tmp_path: Path, source: str, name: str, told: str) -> None:
    file = tmp_path / "my.py"
    file.write_text(source)
    with pytest.raises(UserError, match=told):
        resolve(f"{file}:{name}", TABLE, EXTENSION)


def test_a_file_of_ones_own_may_hold_a_dataclass(tmp_path: Path) -> None:
    """Under deferred annotations ``dataclass`` looks its module up among the imported ones."""
    file = tmp_path / "my.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Loss:\n    weight: float = 1.0\n"
    )
    component, target, _ = resolve(f"{file}:Loss:weight=2", TABLE, EXTENSION)
    assert target(**dict(component.options)).weight == 2.0


def test_a_list_is_an_option_where_the_default_or_the_annotation_is_one(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text(
        "from collections.abc import Sequence\n"
        "def net(features: Sequence[int] = (8, 16), sizes=[1, 2], kernel: int | Sequence[int] = 3):\n"
        "    return features\n"
    )
    same, _, _ = resolve(f"{file}:net:features=[8,16]:sizes=[1,2]:kernel=3", TABLE, EXTENSION)
    assert str(same) == "my.py:net"
    other, target, _ = resolve(f"{file}:net:features=[8, 32]:kernel=[3,5]", TABLE, EXTENSION)
    assert str(other) == "my.py:net:features=[8,32]:kernel=[3,5]"
    assert target(**dict(other.options)) == (8, 32)


def test_an_option_without_a_default_has_to_be_given(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text("def net(width, depth, *more, rate=0.5, **others):\n    return depth\n")
    with pytest.raises(UserError, match=r"my\.py:net needs depth, .* as my\.py:net:depth=VALUE"):
        resolve(f"{file}:net", TABLE, EXTENSION)
    component, _, _ = resolve(f"{file}:net:depth=[2,2]:rate=0.5", TABLE, EXTENSION)
    assert str(component) == "my.py:net:depth=[2,2]"
    with pytest.raises(UserError, match="no option 'others': its options are depth, rate"):
        resolve(f"{file}:net:depth=1:others=3", TABLE, EXTENSION)


def test_what_a_loss_is_called_with_are_no_options(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    file.write_text("def loss(prediction, mask, weight=1.0):\n    return weight\n")
    called = Extension("loss", object, lambda record: record, num_called_with=2)
    component, _, _ = resolve(f"{file}:loss:weight=2", {}, called)
    assert str(component) == "my.py:loss:weight=2.0"
    with pytest.raises(UserError, match="its options are weight"):
        resolve(f"{file}:loss:mask=2", {}, called)


def test_a_file_edited_within_its_second_is_loaded_as_it_is_now(tmp_path):
    """By size and second, Python took its compiled copy: old code ran under the hash of the new one."""
    own = tmp_path / "own.py"
    for number in (1, 2):
        own.write_text(f"def loss():\n    return {number}\n")
        os.utime(own, (1_700_000_000, 1_700_000_000))
        _, function, _ = resolve(f"{own}:loss", {}, Extension("loss", object, lambda each: each))
        assert function() == number
    assert [file.name for file in tmp_path.iterdir()] == ["own.py"]
