"""Code of installed packages: found by module and name, never in the current folder, with its version."""

import hashlib
import inspect
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from segstudy.core.errors import UserError
from segstudy.core.installed import code_version, imported, package_files, search_path, without_current_folder
from segstudy.core.registry import Extension, parse, resolve, source_version

EXTENSION = Extension("loss", object, lambda record: record)


def test_the_version_is_of_the_package_and_of_the_file_that_defines_it() -> None:
    """Also where the module named only imports it from there."""
    found = imported("scipy.stats", "rv_histogram")
    file = Path(inspect.getsourcefile(found))
    assert file.name != "__init__.py"
    content = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    assert code_version(found, "scipy.stats") == f"scipy {version('scipy')} {content}"
    assert source_version(parse("scipy.stats:rv_histogram")) == f"scipy {version('scipy')} {content}"


def test_a_package_s_function_has_options_like_one_of_a_file() -> None:
    component, target, found = resolve("scipy.stats:trim_mean:a=[1,2]:proportiontocut=0.1", {}, EXTENSION)
    assert str(component) == "scipy.stats:trim_mean:a=[1,2]:proportiontocut=0.1"
    assert parse(component.spelling) == component
    assert found.startswith(f"scipy {version('scipy')} ")
    assert target(**dict(component.options)) == 1.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            "no_such_package:Net",
            r"no package 'no_such_package' is installed; check its spelling, or pip install",
        ),
        (
            "scipy.no_such_module:Net",
            r"the package scipy has no module 'scipy\.no_such_module'; check its spell",
        ),
        ("scipy.stats:kendal_tau", r"scipy\.stats has no 'kendal_tau'; did you mean scipy\.stats:kendalltau"),
        ("scipy.stats:distributions", "is not a class or function, but a module"),
        ("numpy:pi", "is not a class or function, but a float"),
        ("os:getcwd", "os is part of Python; name a class or function of a package"),
        ("scipy.stats:trim_mean", "needs a and proportiontocut, which have no default"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line_with_the_remedy(wrong: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        resolve(wrong, {}, EXTENSION)
    assert "\n" not in str(refused.value)


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "beside_me.py").write_text("from pathlib import Path\nPath('ran').touch()\nNet = dict\n")
    monkeypatch.chdir(tmp_path)
    for place in ("", str(tmp_path), "."):
        monkeypatch.setattr(sys, "path", [place, *sys.path])
        with pytest.raises(UserError, match=r"no package 'beside_me' .* path/beside_me\.py:Name"):
            imported("beside_me", "Net")
        assert package_files("beside_me") == []
    assert not (tmp_path / "ran").exists()


def test_a_module_on_the_path_that_no_package_holds_has_no_version(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "only_on_the_path.py").write_text("class Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UserError, match=r"belongs to no installed package, .*name a file of your own as path\.py"
    ):
        imported("only_on_the_path", "Net")


def test_what_cannot_be_imported_is_said_in_a_line(tmp_path: Path, monkeypatch) -> None:
    for name, body in {
        "raises_at_import": "raise RuntimeError('two\\nlines')",
        "ends_at_import": "import sys; sys.exit(3)",
        "misses_a_package": "import no_such_package",
    }.items():
        (tmp_path / f"{name}.py").write_text(body)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(UserError, match=f"{name} cannot be imported: ") as refused:
            imported(name, "Net")
        assert "\n" not in str(refused.value)


def test_an_editable_installation_in_the_current_folder_is_installed(tmp_path: Path, monkeypatch) -> None:
    """Its authors stand in its folder, and Python has that folder on its path for two reasons."""
    site, source = tmp_path / "site", tmp_path / "source"
    (site / "mine-1.2.dist-info").mkdir(parents=True)
    (site / "mine-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.2\n")
    url = f'{{"url": "{source.as_uri()}", "dir_info": {{"editable": true}}}}'
    (site / "mine-1.2.dist-info" / "direct_url.json").write_text(url)
    source.mkdir()
    (source / "mine_in_work.py").write_text("def net(): pass\n")
    monkeypatch.setattr(sys, "path", [str(source), *sys.path, str(site)])
    monkeypatch.chdir(source)
    content = hashlib.sha256((source / "mine_in_work.py").read_bytes()).hexdigest()[:16]
    assert code_version(imported("mine_in_work", "net"), "mine_in_work") == f"mine 1.2 {content}"


def test_what_is_imported_may_change_the_path(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    before = list(sys.path)
    with without_current_folder():
        assert "" not in sys.path
        assert sys.path == search_path()
        sys.path.append("/added")
    assert sys.path == [*before, "/added"]


def test_of_a_value_the_module_that_holds_it_counts() -> None:
    """Not that of its class."""
    assert code_version(np.float64(1.0), "scipy.stats").startswith("scipy ")
