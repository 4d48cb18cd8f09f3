"""Which segmentation architecture, trained with which loss, is best on your images?

Everything the command line does is one function here, with the same name. They are imported when
first used, so that ``import segstudy`` costs nothing.
"""

import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[1:3] == ["-m", "segstudy"] and not sys.flags.safe_path:
    # `python -m segstudy` in a folder of data: a random.py or queue.py that lies there is nobody's to import.
    del sys.path[0]

import importlib
from typing import TYPE_CHECKING, Any

from segstudy.core.version import __version__ as __version__

if TYPE_CHECKING:
    from segstudy.api.data import check, synth
    from segstudy.api.folders import remove, verify
    from segstudy.api.models import card, predict, serve
    from segstudy.api.power import power
    from segstudy.api.results import audit, compare, compare_sets, evaluate, export, report, score
    from segstudy.api.sharing import merge, pack
    from segstudy.api.status import status
    from segstudy.api.studies import init, plan, run
    from segstudy.api.study import Study
    from segstudy.api.table import table
    from segstudy.core.errors import UserError
    from segstudy.deploy.predict.predictor import Predictor

__all__ = [
    "Predictor",
    "Study",
    "UserError",
    "audit",
    "card",
    "check",
    "compare",
    "compare_sets",
    "evaluate",
    "export",
    "init",
    "merge",
    "pack",
    "plan",
    "power",
    "predict",
    "remove",
    "report",
    "run",
    "score",
    "serve",
    "status",
    "synth",
    "table",
    "verify",
]

# Where what is not in ``api.results`` lies.
ELSEWHERE = {
    "Predictor": "deploy.predict.predictor",
    "Study": "api.study",
    "UserError": "core.errors",
    "card": "api.models",
    "check": "api.data",
    "init": "api.studies",
    "merge": "api.sharing",
    "pack": "api.sharing",
    "plan": "api.studies",
    "power": "api.power",
    "predict": "api.models",
    "remove": "api.folders",
    "run": "api.studies",
    "serve": "api.models",
    "status": "api.status",
    "synth": "api.data",
    "table": "api.table",
    "verify": "api.folders",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'segstudy' has no attribute {name!r}")
    where = f"segstudy.{ELSEWHERE.get(name, 'api.results')}"
    try:
        return getattr(importlib.import_module(where), name)
    except ModuleNotFoundError as error:
        if error.name != where:
            raise
        raise AttributeError(
            f"segstudy-runtime only uses models; for segstudy.{name} pip install segstudy"
        ) from None


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
