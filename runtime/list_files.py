"""Write into runtime/pyproject.toml which files predict and serve without PyTorch: all that those import.

    python runtime/list_files.py

`tests/test_runtime.py` fails where the list is another one.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from import_graph import MODULES, closure  # noqa: E402

from segstudy.data.image_formats import FORMATS  # noqa: E402
from segstudy.deploy.engines import ENGINES  # noqa: E402
from segstudy.deploy.file_kinds import FILE_KINDS  # noqa: E402

# What the commands of the light distribution import; what they import when called stands here by itself.
ENTRIES = {
    *(engine.function.partition(":")[0] for engine in ENGINES.values() if engine.suffixes),
    *(kind.graph.partition(":")[0] for kind in FILE_KINDS.values()),
    *(each.register.partition(":")[0] for each in FORMATS.values() if each.register.startswith("segstudy.")),
    "segstudy.api.models",
    "segstudy.cli.command_errors",
    "segstudy.cli.models",
    "segstudy.cli.prediction_bar",
    "segstudy.core.checksums",
    "segstudy.deploy.engines.sandbox_process",
    "segstudy.deploy.predict.table",
    "segstudy.deploy.serving.server",
}
PACKAGE = ROOT / "src" / "segstudy"
HEADING = "[tool.hatch.build.targets.wheel.force-include]\n"


def files() -> list[Path]:
    """Modules, and what is read beside them: the page of the server, and that there are types."""
    found = {MODULES[module] for module in closure(ENTRIES)}
    found |= {PACKAGE / "py.typed", *(PACKAGE / "deploy" / "serving" / "page").iterdir()}
    return sorted(found)


def listing() -> str:
    names = [file.relative_to(PACKAGE.parent).as_posix() for file in files()]
    return HEADING + "".join(f'"../src/{name}" = "{name}"\n' for name in names)


def main() -> None:
    file = ROOT / "runtime" / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(re.escape(HEADING) + r'(?:"[^\n]*\n)*', listing(), text), encoding="utf-8")


if __name__ == "__main__":
    main()
