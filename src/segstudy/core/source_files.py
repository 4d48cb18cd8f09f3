"""Files of a user's own code: what one imports from its own folder belongs to it."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def source_files(file: Path) -> list[Path]:
    """A file, and all modules beside it that it imports, directly or through each other.

    Found without running anything, so that imports by a computed name are not seen.
    """
    found, waiting = {file}, [file]
    while waiting:
        for name in _imported(waiting.pop()):
            fresh = set(_beside(file.parent, name)) - found
            found |= fresh
            waiting += fresh
    return [file, *sorted(found - {file})]


def _imported(file: Path) -> set[str]:
    """The first parts of the names of all modules that a file imports; none where it cannot be read."""
    names: set[str] = set()
    with suppress(OSError, ValueError, SyntaxError, RecursionError):  # who runs it is told
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names


def _beside(folder: Path, name: str) -> list[Path]:
    """The files of a module of this folder; none if the name means one of Python's or an installed one."""
    module, package = folder / f"{name}.py", folder / name
    files = [module] if module.is_file() else sorted(package.rglob("*.py"))
    if not files or name in sys.stdlib_module_names:
        return []
    found = importlib.util.find_spec(name) if name not in sys.modules else sys.modules[name].__spec__
    if found is None or found.origin is None or folder in Path(found.origin).resolve().parents:
        return files
    return []


@contextmanager
def importable_beside(file: Path) -> Iterator[None]:
    """While inside, modules of this file's folder can be imported; after all others, so that none is hidden.

    They are forgotten afterwards: in another folder the same name is another module.
    """
    folder, before = str(file.parent), set(sys.modules)
    sys.path.append(folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # what was run has changed it
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin is not None and file.parent in Path(origin).resolve().parents:
                del sys.modules[name]
