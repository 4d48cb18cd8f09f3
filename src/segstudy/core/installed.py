"""Code of installed packages: imported without looking into the current folder, named with its version.

Code that decides numbers is named as ``monai 1.6.1 8d0f3c2a9b7e6f51``: the distribution that holds it, its
version, and the SHA-256 of the file that defines it. This text enters the keys of the runs that use it.
"""

import hashlib
import importlib.util
import inspect
import json
import os
import re
import sys
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from segstudy.core.errors import UserError, typed_line
from segstudy.core.suggestions import nearest

if TYPE_CHECKING:  # `--help` knows the tables without what is installed
    from importlib.metadata import Distribution


def imported(module: str, name: str) -> Any:
    """Return the object of this name in a module of an installed package.

    Raises:
        UserError: no such package, module or name; it cannot be imported; or it belongs to nothing installed.
    """
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise UserError(f"{module}:{name}: {module} is part of Python; name a class or function of a package")
    loaded = _module(module)
    if not hasattr(loaded, name):
        public = {each: value for each, value in vars(loaded).items() if not each.startswith("_")}
        meant = nearest(name, (each for each, value in public.items() if callable(value)))
        raise UserError(
            f"{module}:{name}: {module} has no {name!r}; "
            + (f"did you mean {module}:{meant}?" if meant else "check its spelling")
        )
    found = getattr(loaded, name)
    code_version(found, module)  # refuses what is not installed
    return found


def _module(name: str) -> Any:
    try:
        with without_current_folder():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UserError(_not_found(name, error.name)) from None
        raise UserError(f"{name} cannot be imported: {typed_line(error)}; install what it needs") from error
    except (Exception, SystemExit) as error:  # code of others may raise anything
        raise UserError(
            f"{name} cannot be imported: {typed_line(error)}; try `python -c 'import {name}'`"
        ) from error


def _not_found(module: str, missing: str) -> str:
    if "." in missing:
        return (
            f"{module}: the package {missing.partition('.')[0]} has no module {missing!r}; check its spelling"
        )
    return (
        f"{module}: no package {missing!r} is installed; check its spelling, or pip install it (nothing is "
        f"imported from the current folder: give a file as path/{missing}.py:Name)"
    )


def package_files(module: str) -> list[Path]:
    """Return the source files of the package that holds a module, not importing it; none if it is gone."""
    with without_current_folder():
        spec = importlib.util.find_spec(module.partition(".")[0])
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    return sorted(files or [Path(spec.origin)] if spec.origin else files)


def code_version(thing: Any, module: str) -> str:
    """Return distribution, version and hash of the file that defines a class, function or record.

    Args:
        thing: the object; if it does not name its module, ``module`` is taken.
        module: an imported module, where the object was found.

    Raises:
        UserError: no installed distribution holds that file.
    """
    file = _defining_file(thing, module)
    held_by = _distribution_of(file) if file is not None else None
    if file is None or held_by is None:
        raise UserError(
            f"{module}: belongs to no installed package, so its version is not known; pip install the "
            "package it is part of, or name a file of your own as path.py:Name"
        )
    content = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return f"{held_by.metadata['Name']} {held_by.version} {content}"


def _defining_file(thing: Any, module: str) -> Path | None:
    says = isinstance(thing, type) or inspect.isroutine(thing)  # for a value, its class has the module
    for name in (getattr(thing, "__module__", None) if says else None, module):
        file = getattr(sys.modules.get(str(name)), "__file__", None)
        if file is not None and Path(file).is_file():
            return Path(file).resolve()
    return None


def _distribution_of(file: Path) -> "Distribution | None":
    """Return the installed distribution that lists this file, or whose source folder holds it."""
    folders = {_plain(part) for part in file.with_suffix("").parts}
    found = installed_distributions()
    likely = [each for each in found if _plain(each.metadata["Name"]) in folders]
    for each in [*likely, *(other for other in found if other not in likely)]:
        if _holds(each, file):
            return each
    return None


def _holds(distribution: "Distribution", file: Path) -> bool:
    root = Path(str(distribution.locate_file(""))).resolve()
    if file.is_relative_to(root):
        listed = (distribution.read_text("RECORD") or "").splitlines()
        name = file.relative_to(root).as_posix()
        if any(line.startswith((f"{name},", f'"{name}",')) for line in listed):
            return True
    source = _source_folder(distribution)
    return source is not None and file.is_relative_to(source)


def _source_folder(distribution: "Distribution") -> Path | None:
    """Return the source folder of an editable installation (``pip install -e``); None for others."""
    try:
        said = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not said.get("dir_info", {}).get("editable"):
        return None
    path = unquote(urlsplit(said["url"]).path)
    return Path(path.lstrip("/") if os.name == "nt" else path).resolve()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_distributions(path: list[str] | None = None) -> "list[Distribution]":
    """Return all distributions installed outside of the current folder; of equal names the first found."""
    from importlib.metadata import distributions

    first: dict[str, Distribution] = {}
    for each in distributions(path=search_path() if path is None else path):
        if name := each.metadata["Name"]:  # a damaged installation has none
            first.setdefault(_plain(name), each)
    return list(first.values())


def declare_entry_points(path: list[str], groups: Collection[str]) -> bool:
    """Whether anything that is installed may declare an entry point of these groups: a quick look."""
    from importlib.metadata import distributions

    texts = (each.read_text("entry_points.txt") for each in distributions(path=path))
    return any(group in text for text in texts if text for group in groups)


def search_path() -> list[str]:
    """Return Python's search path without the current folder, unless packages are installed there."""
    here = Path.cwd()
    others = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    if len(others) == len(sys.path):
        return others
    installed_to = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    if here in installed_to or any(here.is_relative_to(each) for each in _source_folders(tuple(others))):
        return [entry for entry in sys.path if entry]
    return others


@cache
def _source_folders(path: tuple[str, ...]) -> list[Path]:
    """Return the source folders of all editable installations; read once, as they are many small files."""
    from importlib.metadata import distributions

    return [folder for each in distributions(path=list(path)) if (folder := _source_folder(each))]


@contextmanager
def without_current_folder() -> Iterator[None]:
    """Import nothing from the current folder while inside."""
    before, searched = list(sys.path), search_path()
    sys.path[:] = searched
    try:
        yield
    finally:
        sys.path[:] = [*before, *(entry for entry in sys.path if entry not in searched)]
