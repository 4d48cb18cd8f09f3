"""Which segmentation architecture, trained with which loss, is best on your images?

Everything the command line does is one function here, with the same name. They are imported when
first used, so that ``import segstudy`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segstudy.api import (
        Study,
        check,
        compare,
        evaluate,
        init,
        plan,
        report,
        run,
        score,
        status,
        synth,
        table,
        verify,
    )
    from segstudy.errors import UserError

__all__ = [
    "Study",
    "UserError",
    "check",
    "compare",
    "evaluate",
    "init",
    "plan",
    "report",
    "run",
    "score",
    "status",
    "synth",
    "table",
    "verify",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'segstudy' has no attribute {name!r}")
    module = importlib.import_module("segstudy.errors" if name == "UserError" else "segstudy.api")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
