"""ARCHITECTURE.md names every package, the layers that are tested, and nothing that does not exist."""

import re

import pytest
from import_graph import LAYERS, MODULES, package_of
from places import ROOT

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
TREE, LAYER_LINES = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
INDENT = 2  # spaces in the tree


def names_in_tree() -> set[str]:
    """Packages and root modules as the tree has them: ``data``, ``data.datasets``."""
    found: set[str] = set()
    path: list[str] = []
    for line in TREE.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // INDENT
        path[depth - 1 :] = [line.split()[0]]
        found.add(".".join(path))
    return found


def packages() -> set[str]:
    """Every folder of src with an ``__init__``, and the modules that lie beside the root's own."""
    folders = {name for name, path in MODULES.items() if path.name == "__init__.py"} - {"segstudy"}
    root_modules = {name for name in MODULES if name.count(".") == 1}
    return {name.removeprefix("segstudy.") for name in folders | root_modules}


def modules_named() -> list[str]:
    """Names in backticks that begin with a package, with or without a path to a module."""
    roots = {package_of(module) for module in MODULES} - {"segstudy"}
    names = {name for name in re.findall(r"`([a-z_.]+)`", TEXT) if name.split(".")[0] in roots}
    return sorted(name for name in names if not name.endswith((".toml", ".json")))  # files of a study


def paths_named() -> list[str]:
    """Paths in backticks or links, as far as they have no placeholder."""
    found = re.findall(r"`([\w./]+/[\w./]*)`", TEXT) + re.findall(r"\]\(([^)#:]+)\)", TEXT)
    return sorted(set(found))


def test_the_tree_has_every_package_and_no_other():
    assert names_in_tree() - {"__init__"} == packages()


def test_the_layers_are_those_that_the_imports_are_tested_against():
    assert [tuple(line.split(", ")) for line in LAYER_LINES.splitlines()] == list(LAYERS)


@pytest.mark.parametrize("name", modules_named())
def test_every_module_it_names_exists(name):
    assert f"segstudy.{name}" in MODULES


@pytest.mark.parametrize("path", paths_named())
def test_every_path_it_names_exists(path):
    assert (ROOT / path).exists()


def test_it_names_modules_and_paths_and_the_other_pages_lead_to_it():
    assert len(modules_named()) > 30
    assert len(paths_named()) > 10
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "(ARCHITECTURE.md)" in (ROOT / page).read_text(encoding="utf-8"), page
