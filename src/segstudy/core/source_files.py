"""Files of a user's own code: a file, and the modules that it imports from its folder."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType


def source_files(file: Path) -> list[Path]:
    """Return a file and all modules beside it that it imports, directly or through each other.

    Nothing is run, so imports by a computed name are not found.
    """
    found, waiting = {file}, [file]
    while waiting:
        for name in _imported(waiting.pop()):
            fresh = set(_beside(file.parent, name)) - found
            found |= fresh
            waiting += fresh
    return [file, *sorted(found - {file})]


def _imported(file: Path) -> set[str]:
    """Return the top-level names of all modules that a file imports; none if it cannot be read."""
    names: set[str] = set()
    with suppress(OSError, ValueError, SyntaxError, RecursionError):  # running the file reports the error
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names


def _beside(folder: Path, name: str) -> list[Path]:
    """Return the files of a module in this folder; none if the name is of Python's library or installed."""
    module, package = folder / f"{name}.py", folder / name
    files = [module] if module.is_file() else sorted(package.rglob("*.py"))
    if not files or name in sys.stdlib_module_names:
        return []
    found = importlib.util.find_spec(name) if name not in sys.modules else sys.modules[name].__spec__
    if found is None or found.origin is None or folder in Path(found.origin).resolve().parents:
        return files
    return []


class FromSource(SourceFileLoader):
    """Compiles a file as it is now, without Python's compiled copy of it.

    That copy is taken for current if the file has the same size and the same second of change: an edit that
    keeps both would run the code of before under the hash of the new one.
    """

    def get_code(self, fullname: str) -> CodeType:
        place = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(place), place)
        return code


@contextmanager
def importable_beside(file: Path) -> Iterator[None]:
    """Let modules of this file's folder be imported while inside; they are searched last and hide no other.

    They are removed from ``sys.modules`` afterwards: in another folder the same name is another module. No
    compiled copies are written beside them, see ``FromSource``.
    """
    folder, before, writes_none = str(file.parent), set(sys.modules), sys.dont_write_bytecode
    sys.path.append(folder)
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        with suppress(ValueError):  # the code that ran has changed it
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin is not None and file.parent in Path(origin).resolve().parents:
                del sys.modules[name]
