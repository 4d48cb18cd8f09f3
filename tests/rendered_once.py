"""Equal charts are described and rendered once in a session: hundreds of tests write a report of them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import vl_convert

from segstudy.reporting.charts import specs

# What they return follows from their arguments alone, but for the numbers in ids that `specs.svg` replaces.
REAL = {
    (module, name): getattr(module, name)
    for module, names in (
        (specs, ("curve_chart", "curve_grid", "pareto_chart", "scripts")),
        (vl_convert, ("vegalite_to_svg", "svg_to_png")),
    )
    for name in names
}


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def called(*values: Any, **named: Any) -> Any:
        key = repr((values, named))
        if key not in known:
            known[key] = function(*values, **named)
        return copy.deepcopy(known[key])

    return called


@contextmanager
def rendered_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), real in REAL.items():
            patch.setattr(module, name, once(real))
        yield


def render_again(patch: pytest.MonkeyPatch) -> None:
    """Undo it, where the rendering itself is tested."""
    for (module, name), real in REAL.items():
        patch.setattr(module, name, real)
