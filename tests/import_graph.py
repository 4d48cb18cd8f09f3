"""Which module of segstudy imports which, read from the files; ``python tests/import_graph.py`` counts.

Every import is seen: at the top, inside functions, for type checkers, and of ``segstudy`` itself.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import segstudy

ROOT = Path(segstudy.__file__).parent

# Top to bottom; a package imports only from those on lower lines. "segstudy" is the package's own __init__.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("segstudy",),
    ("api",),
    ("study",),
    ("training", "reporting", "deploy"),
    ("mask_errors",),
    ("evaluation", "analysis"),
    ("store",),
    ("data", "models", "losses", "config"),
    ("metrics", "stats"),
    ("core",),
)
LEVEL = {package: len(LAYERS) - i for i, layer in enumerate(LAYERS) for package in layer}


def module_name(path: Path) -> str:
    parts = ("segstudy", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def package_of(module: str) -> str:
    """``segstudy.data.images`` lies in ``data``; the package's own ``__init__`` in ``segstudy``."""
    return module.split(".")[1] if "." in module else "segstudy"


@functools.cache
def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def targets(node: ast.AST) -> set[str]:
    """The modules of segstudy that an import statement names."""
    match node:
        case ast.Import():
            return {alias.name for alias in node.names if alias.name.split(".")[0] == "segstudy"}
        case ast.ImportFrom(level=level) if level:
            raise AssertionError("imports are absolute")
        case ast.ImportFrom(module=str(origin)) if origin.split(".")[0] == "segstudy":
            full = {alias.name: f"{origin}.{alias.name}" for alias in node.names}
            return {full[name] if full[name] in MODULES else origin for name in full}
    return set()


@functools.cache
def imports(module: str, everywhere: bool = True) -> frozenset[str]:
    """What a module imports of segstudy; with ``everywhere=False`` only what importing it imports."""

    def nodes(tree: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(tree):
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if everywhere or not (is_function or is_for_types):
                yield child
                yield from nodes(child)

    return frozenset(target for node in nodes(parsed(module)) for target in targets(node))


def with_packages(modules: set[str]) -> set[str]:
    """Modules and the packages they lie in, whose ``__init__`` is imported with them."""
    parts = [module.split(".") for module in modules]
    return {".".join(each[:n]) for each in parts for n in range(1, len(each) + 1)}


def closure(roots: set[str]) -> set[str]:
    """All that is imported when these modules are."""
    found: set[str] = set()
    waiting = with_packages(roots)
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= with_packages(imports(module, everywhere=False)) - found
    return found


def cycles() -> list[set[str]]:
    """Modules that import one another, wherever the imports stand."""
    graph = {module: imports(module) for module in MODULES}
    reach: dict[str, frozenset[str]] = {}
    wider = graph
    while wider != reach:
        reach = wider
        wider = {each: names.union(*(reach[name] for name in names)) for each, names in reach.items()}
    looped = {module for module in reach if module in reach[module]}
    return [{other for other in looped if other in reach[each] and each in reach[other]} for each in looped]


def package_graph() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        own = package_of(module)
        graph.setdefault(own, set()).update({package_of(name) for name in imports(module)} - {own})
    return graph


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """The longest way from a package down to one that imports no other."""

    def chain(package: str) -> list[str]:
        return [package, *max((chain(each) for each in graph[package]), key=len, default=[])]

    return max((chain(package) for package in graph), key=len)


def upward() -> list[str]:
    """Imports of what lies no lower, as ``a -> b``."""
    return [
        f"{module} -> {target}"
        for module in MODULES
        for target in sorted(imports(module))
        if package_of(target) != package_of(module) and LEVEL[package_of(target)] >= LEVEL[package_of(module)]
    ]


def long_modules(most: int = 400) -> dict[str, int]:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    return {name: length for name, length in lengths.items() if length > most}


def long_functions(most: int = 40) -> dict[str, int]:
    """Functions whose statements take more lines; signatures and docstrings do not count."""
    found = {}
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if length > most:
                    found[f"{module}.{node.name}"] = length
    return found


def main() -> None:
    graph = package_graph()
    packages = sorted(set(graph) - {"segstudy", "__main__"})
    print(f"packages at the root: {len(packages)} ({', '.join(packages)})")
    print(f"modules: {len(MODULES)}")
    chain = longest_chain(graph)
    print(f"longest import chain between packages: {len(chain)} ({' > '.join(chain)})")
    print(f"arrows up: {len(upward())}")
    print(f"cycles: {len(cycles())}")
    print(f"modules over 400 lines: {long_modules() or 'none'}")
    print(f"functions over 40 lines: {long_functions() or 'none'}")


if __name__ == "__main__":
    main()
