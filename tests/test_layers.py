"""DESIGN.md's layers: a package imports only from packages on lower layers, and there are no cycles."""

import ast
import re

import import_graph
import pytest
from import_graph import LEVEL, MODULES, imports, package_of, parsed, targets

import segstudy
from segstudy.data.datasets import READERS

# Imports inside functions. Whole modules that import what they need when a command is called, so that
# `--help` stays quick; else each says its reason in a comment on its line or on the line of the first.
LATE = {
    "segstudy.__main__": "Ctrl-C is caught before anything else is imported",
    "segstudy.api.data": "the contact sheet's libraries are imported when one is written",
    "segstudy.api.folders": "a call imports what it needs: status without what deletes",
    "segstudy.api.models": "the light distribution has these functions only in part",
    "segstudy.api.results": "a call imports what it needs: table without PyTorch",
    "segstudy.api.sharing": "the command line is imported without what merges and packs",
    "segstudy.api.studies": "a finished study is found up to date without PyTorch",
    "segstudy.cli.models": "`--help` imports nothing that computes",
    "segstudy.cli.folders": "`--help` imports nothing that computes",
    "segstudy.cli.study_flags": "`--help` imports nothing that computes",
    "segstudy.cli.data": "`--help` imports nothing that computes",
    "segstudy.cli.results": "`--help` imports nothing that computes",
    "segstudy.cli.studies": "`--help` imports nothing that computes",
    "segstudy.core.environment": "environments are compared without PyTorch",
    "segstudy.core.libraries": "the one place where libraries are imported that would send something unasked",
    "segstudy.training.executors.worker_process": "a worker listens before it imports PyTorch",
}
OPTIONAL = {
    *("onnx", "onnxruntime", "openvino", "psutil", "resource", "importlib", "webbrowser", "cyclopts"),
    *("nibabel", "pydicom", "ray"),
}


@pytest.mark.parametrize("module", MODULES)
def test_every_arrow_points_down(module):
    own = package_of(module)
    assert own in LEVEL, f"{own} has no layer: give it one in import_graph.py and in the design"
    upward = {
        target
        for target in imports(module)
        if package_of(target) != own and LEVEL[package_of(target)] >= LEVEL[own]
    }
    assert not upward, f"{module} imports from its own layer or a higher one: {upward}"


def test_no_modules_import_one_another():
    assert not import_graph.cycles()


def test_packages_are_few_and_the_chain_is_short():
    graph = import_graph.package_graph()
    assert len(set(graph) - {"segstudy", "__main__"}) <= 18
    assert len(import_graph.longest_chain(graph)) <= len(import_graph.LAYERS)


def test_no_package_at_the_root_bears_the_name_of_a_command():
    packages = {package_of(module) for module in MODULES}
    assert not packages & set(segstudy.__all__)


@pytest.mark.parametrize("module", [module for module in MODULES if module not in LATE])
def test_imports_inside_functions_are_of_optional_packages(module):
    for function in ast.walk(parsed(module)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                names = (
                    {alias.name for alias in node.names}
                    if isinstance(node, ast.Import)
                    else {str(node.module)}
                    if isinstance(node, ast.ImportFrom)
                    else set()
                )
                late = {name for name in names if name.split(".")[0] not in OPTIONAL}
                if not late:
                    continue
                line = MODULES[module].read_text(encoding="utf-8").splitlines()[node.lineno - 1]
                assert "#" in line, f"{module}:{node.lineno}: say why {late} is imported here"


def test_the_reasons_for_late_imports_are_of_modules_that_are_there():
    assert set(LATE) <= set(MODULES)


def test_architectures_losses_and_readers_never_import_each_other():
    of_losses = {"counted", "distances", "distribution", "record", "region"}
    of_models = {"blocks", "cost", "joined"}
    tables = {"models": of_models, "losses": of_losses, "metrics": {"counts"}}
    for package, shared in tables.items():
        for module in MODULES:
            if module.startswith(f"segstudy.{package}.") and module.rsplit(".", 1)[1] not in shared:
                others = {each.rsplit(".", 1)[1] for each in imports(module) if package_of(each) == package}
                assert others <= shared, f"{module} imports {others - shared}"
    readers = {reader.read.__module__ for reader in READERS.values()}
    assert all(not imports(reader) & readers for reader in readers)


NAMED = re.compile(r"(segstudy(?:\.\w+)+):(\w+)")


def test_functions_that_records_name_as_text_are_there_and_lie_no_higher():
    """Tables name what they import late, as ``package.module:name``."""
    found = 0
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if not (named := NAMED.fullmatch(node.value)):
                    continue
                found += 1
                assert named[1] in MODULES, f"{module} names {node.value}"
                defined = {each.name for each in parsed(named[1]).body if hasattr(each, "name")}
                assert named[2] in defined, f"{module} names {node.value}"
                own, other = package_of(module), package_of(named[1])
                assert own == other or LEVEL[other] < LEVEL[own], f"{module} names {node.value}"
    assert found >= 8


def test_no_module_uses_the_private_names_of_another():
    for module in MODULES:
        tree = parsed(module)
        known = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if targets(node)
        }
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and targets(node)
            for alias in node.names
        }
        reached = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in known
        }
        private = {name for name in imported | reached if name.startswith("_") and not name.endswith("__")}
        assert not private, f"{module} uses {private} of another module: give what is shared a public name"


def test_configuration_metrics_and_statistics_know_nothing_of_torch():
    roots = {name for name in MODULES if package_of(name) in ("config", "metrics", "stats")}
    for module in import_graph.closure(roots):
        names = {
            name.split(".")[0]
            for node in ast.walk(parsed(module))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [str(node.module)])
        }
        assert "torch" not in names or module in LATE, module
