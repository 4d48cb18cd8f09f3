"""Paths as people and other systems write them."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import segstudy
from segstudy.config import study_file
from segstudy.core.arguments import checked_call
from segstudy.core.errors import UserError
from segstudy.core.paths import expanded, expanded_word, reason_missing, with_slashes
from segstudy.core.registry import parse
from segstudy.study.options import described, excluded

pytestmark = pytest.mark.skipif(os.name == "nt", reason="of systems on which a backslash is a letter")
WHERE = 'data = {}\n[protocol]\nimage_size = 32\n[[grid]]\narchitecture = [{}]\nloss = ["bce"]\n'


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with a space in its name, and the working folder elsewhere."""
    folder = tmp_path / "my home"
    for name in ("lesions/images", "lesions/masks", "elsewhere"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder / "elsewhere")
    return folder


def test_the_home_folder_is_expanded_and_nothing_else(home):
    assert expanded("~/a") == str(home / "a")
    assert expanded("~\\a\\b") == str(home / "a/b")
    assert expanded("~") == str(home)
    for other in ("a~", "a/~/b", "./~/b", "~nobody/a", "~a", "", "synthetic"):
        assert expanded(other) == other


def test_words_of_a_command_line(home):
    assert expanded_word("~/a") == str(home / "a")
    assert expanded_word("--out=~/a") == f"--out={home / 'a'}"
    assert expanded_word("data=~/a") == f"data={home / 'a'}"
    for other in ("a b=~/x", "/tmp/a=~/b", "unet:skips=~", "--out", "-n", "=~/a", "a=b"):
        assert expanded_word(other) == other


def test_every_path_of_a_public_function(home):
    @checked_call
    def asked(path: str | Path, *, paths: str | Path | Sequence[str] = "", name: str = "") -> list[object]:
        return [path, paths, name]

    assert asked("~/a", paths="~/b", name="~/c") == [str(home / "a"), str(home / "b"), "~/c"]
    assert asked(Path("~/a"), paths=["~/b", "c"]) == [home / "a", [str(home / "b"), "c"], ""]
    with pytest.raises(UserError, match="my home/lesions"):
        segstudy.check("~/lesions")
    with pytest.raises(UserError, match="my home/lesions/images: no image"):
        segstudy.predict("~/nothing", "~/lesions/images", "~/out")


def test_options_of_a_study(home):
    (home / "ids.txt").write_text("a\n")
    (home / "split.json").write_text("{}")
    study, _ = described("~/lesions", {"split": ["~/split.json"], "exclude": "~/ids.txt"})
    assert (study.data, study.split_file) == (str(home / "lesions"), str(home / "split.json"))
    study, _ = described(None, {"fields": {"data": ["~/lesions"]}})
    assert study.data == str(home / "lesions")
    assert excluded("~/ids.txt") == ("a",)
    assert parse("~/my.py:Net").file == home / "my.py"


@pytest.mark.parametrize(
    "data", ['"~/lesions"', "'~/lesions'", r"'~\lesions'", r"'..\lesions'", r'"..\\lesions"', '"../lesions"']
)
def test_a_study_file_finds_its_data(home, data):
    file = Path("study.toml")
    file.write_text(WHERE.format(data, r"'~\nets\my.py:Net', '..\nets\my.py:Other'"))
    (home / "nets").mkdir()
    (home / "nets/my.py").touch()
    study = study_file.load(file)
    assert study.data == str(home / "lesions")
    assert study.grid[0]["architecture"] == (f"{home}/nets/my.py:Net", f"{home}/nets/my.py:Other")


def test_what_is_there_under_a_name_with_a_backslash_is_meant(tmp_path):
    (tmp_path / r"a\b").mkdir()
    assert with_slashes(r"a\b", tmp_path) == r"a\b"
    (tmp_path / "c").mkdir()
    (tmp_path / "c/d").mkdir()
    assert with_slashes(r"c\d", tmp_path) == "c/d"
    assert with_slashes(r"e\f", tmp_path) == r"e\f"


@pytest.mark.parametrize("data", [r'"C:\Users\me"', r'"D:\data"', r'"me\lesions"', '"C:\\data\\"'])
def test_a_backslash_that_toml_refuses_is_explained(tmp_path, data):
    (tmp_path / "study.toml").write_text(f"data = {data}\n")
    with pytest.raises(UserError, match=r"backslash .* write paths with /, or within single quotes"):
        study_file.load(tmp_path / "study.toml")


@pytest.mark.parametrize("data", [r'"C:\table\new"', r'"..\bilder"', r'"x\results"', r'"\foto"'])
def test_a_backslash_that_toml_takes_for_something_else_is_explained(tmp_path, data):
    (tmp_path / "study.toml").write_text(f"data = {data}\n")
    with pytest.raises(UserError, match=r"backslash .* begins an escape") as caught:
        segstudy.plan(tmp_path / "study.toml")
    assert "\n" not in str(caught.value)


def test_other_mistakes_of_toml_are_not_blamed_on_backslashes(tmp_path):
    (tmp_path / "study.toml").write_text("data = 'a\\b'\nname = \n")
    with pytest.raises(UserError) as caught:
        study_file.load(tmp_path / "study.toml")
    assert "backslash" not in str(caught.value)


def test_why_nothing_is_there(home):
    assert "did you mean" in reason_missing(f"{home}\\lesions")
    assert f"{home}/lesions" in reason_missing(f"{home}\\lesions")
    assert "separated by /" in reason_missing("no\\thing")
    assert "Windows" in reason_missing("C:\\Users\\me")
    assert "Windows" in reason_missing("/home/me/D:/data")
    assert "escape" in reason_missing("C:\table")
    assert reason_missing("/home/me/data") == ""


def test_the_reason_is_said_wherever_a_path_is_given(home, exported_model):
    calls = (
        lambda: segstudy.check(f"{home}\\lesions"),
        lambda: segstudy.plan(f"{home}\\lesions"),
        lambda: segstudy.plan(f"{home}\\lesions.toml"),
        lambda: segstudy.predict(exported_model, f"{home}\\lesions", home / "out"),
        lambda: excluded(f"{home}\\ids.txt"),
        lambda: segstudy.plan("~/lesions", architecture=f"{home}\\my.py:Net"),
    )
    for call in calls:
        with pytest.raises(UserError, match="a backslash is a letter"):
            call()
