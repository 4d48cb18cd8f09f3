"""The charts of the report: one specification each, for the page, for SVG and for PNG."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType


class _KeepsDocstrings(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return compile(self.get_data(path), path, "exec", dont_inherit=True, optimize=0)


class _AltairWithDocstrings(MetaPathFinder):
    """Altair copies docstrings during its import, and fails if PYTHONOPTIMIZE=2 has removed them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".", maxsplit=1)[0] != "altair":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _KeepsDocstrings(fullname, spec.loader.path)
        return spec


if sys.flags.optimize >= 2:
    sys.meta_path.insert(0, _AltairWithDocstrings())
