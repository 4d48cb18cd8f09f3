"""The keys of a table of records, without importing the classes of the records."""

import ast
import importlib.util
from importlib.abc import InspectLoader


def keys_of(module: str, table: str) -> list[str]:
    """Return the keys of a dictionary at a module's top level; none if there is no such module.

    Help texts list architectures and losses, whose modules import PyTorch: that would take seconds. So the
    keys are read from the source.

    Args:
        module: its full name; only its parent is imported.
        table: the dictionary's name.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not isinstance(spec.loader, InspectLoader):
        return []
    for statement in ast.parse(spec.loader.get_source(module) or "").body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == table:
            assert isinstance(statement.value, ast.Dict)
            return [ast.literal_eval(key) for key in statement.value.keys if key is not None]
    return []
