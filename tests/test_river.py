"""DESIGN.md's river: a module imports only from what stands before it, and there are no cycles."""

import ast
from pathlib import Path

import pytest

import segstudy

ROOT = Path(segstudy.__file__).parent

# In the order in which data flow. A package stands for all modules in it.
RIVER = (
    "errors",
    "resources",
    "stages",
    "plaintext",
    "columns",
    "quantities",
    "suggestions",
    "explanations",
    "arguments",
    "allocator",
    "cache",
    "libraries",
    "files",
    "userfiles",
    "cells",
    "pixel_budget",
    "decoding_bounds",
    "images",
    "preprocess",
    "values",
    "records",
    "cards",
    "checksums",
    "measures",
    "trial",
    "engines",
    "graphs",
    "trial_process",
    "locks",
    "interruption",
    "seeding",
    "sources",
    "components",
    "own_networks",
    "presets",
    "config",
    "grids",
    "studyfile",
    "command_errors",
    "data",
    "states",
    "models",
    "losses",
    "metrics",
    "checkpoint",
    "evaluation",
    "pytorch_engine",
    "train",
    "environment",
    "resuming",
    "failures",
    "store",
    "coverage",
    "pace",
    "receipt",
    "integrity",
    "worker",
    "worker_process",
    "executors",
    "baselines",
    "study",
    "estimate",
    "stats",
    "ranks",
    "effects",
    "trained",
    "maskfolders",
    "scoring",
    "external",
    "reporting",
    "removal",
    "gateimages",
    "exporting",
    "own_onnx",
    "parity",
    "opening",
    "predictor",
    "predictions",
    "prediction",
    "serving",
    "using",
    "terminal",
    "model_commands",
    "request",
    "options",
    "occupancy",
    "choices",
    "livetable",
    "display",
    "running",
    "studies",
    "api",
    "cli",
    "__main__",
)


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def place(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """The root modules of segstudy that a file imports, wherever the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names if alias.name.startswith("segstudy")}
            case ast.ImportFrom(module=str(module)) if module == "segstudy":
                names |= {f"segstudy.{alias.name}" for alias in node.names if alias.name != "__version__"}
            case ast.ImportFrom(module=str(module)) if module.startswith("segstudy."):
                names.add(module)
            case ast.ImportFrom(level=level):
                assert not level, f"{path.name}: imports are absolute"
    return {name.split(".")[1] for name in names if "." in name}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_arrow_points_down_the_river(path: Path):
    own = place(path)
    assert own in RIVER, f"{own} has no place in the river: give it one here and in the design"
    backwards = {name for name in imported(path) if RIVER.index(name) > RIVER.index(own)}
    assert not backwards, f"{own} imports from what comes after it: {backwards}"


def siblings(path: Path, folder: str) -> set[str]:
    """The modules of its own package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == f"segstudy.{folder}":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"segstudy.{folder}."):
            found.add(str(node.module).rsplit(".", 1)[1])
    return found


def test_architectures_never_import_each_other():
    for path in (ROOT / "models").glob("*.py"):
        if path.stem not in ("__init__", "blocks"):
            assert siblings(path, "models") <= {"blocks"}, path.name


def test_readers_never_import_each_other():
    readers = {"ph2", "isic", "folder", "synthetic"}
    for reader in readers:
        assert not siblings(ROOT / "data" / f"{reader}.py", "data") & readers, reader


def test_configuration_and_metrics_know_nothing_of_torch():
    for name in ("errors", "seeding", "components", "presets", "config", "metrics"):
        tree = ast.parse((ROOT / f"{name}.py").read_text(encoding="utf-8"))
        names = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {n for n in names if n.split(".")[0] == "torch"}, name
