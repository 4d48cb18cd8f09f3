"""From the spelling of a loss to its function: what it names, and whether it serves the classes."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from segstudy.core.errors import UserError
from segstudy.core.outputs import Outputs
from segstudy.core.plugins import known_record
from segstudy.core.registry import Component, Extension, resolve
from segstudy.core.sums import Part, Sum, parse_sum, sum_of
from segstudy.losses.counted import Weights
from segstudy.losses.record import Loss

ARGUMENTS = ("logits", "target")
GIVEN = ("outputs", "class_weights")  # to functions of several classes that have these parameters

Place = Literal["function", "multilabel", "multiclass"]
Table = Mapping[str, Loss]
Function = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A loss or sum in canonical form, and what its parts are.

    Attributes:
        sum: in canonical form.
        functions: of its parts, in their order; a part of a package may be a class.
        versions: of the code of its parts; None for ours, which have their ``numerics``.
    """

    sum: Sum
    functions: tuple[Function, ...]
    versions: tuple[str | None, ...]


def resolved(text: str, table: Table, outputs: Outputs, is_weighted: bool) -> Resolved:
    """Look every part of a loss up, and check that it serves these classes and weights.

    Raises:
        UserError: see ``segstudy.losses.resolve_loss``.
    """
    try:
        written = parse_sum(text)
        found = [_part(part, table, outputs, is_weighted) for part in written.parts]
    except UserError as error:
        if ".py:" in text and ("+" in text or "*" in text):
            raise UserError(
                f"{error}; if a sum is meant: it takes no loss from a file, so add them up in a function of "
                "that file"
            ) from None
        raise
    whole = sum_of(part for part, _, _ in found)
    by_part = {part: (function, version) for part, function, version in found}
    functions, versions = zip(*(by_part[part] for part in whole.parts), strict=True)
    return Resolved(whole, functions, versions)


def version_of(found: Resolved, table: Table) -> int | str:
    """Return the version of a loss for keys: of ours a number, of others a text.

    That of a sum of ours grows by one whenever one of its parts does.
    """
    components = found.sum.components
    versions = [
        version or table[each.name].numerics for each, version in zip(components, found.versions, strict=True)
    ]
    if len(versions) == 1:
        return versions[0]
    numbers = [version for version in versions if isinstance(version, int)]
    if len(numbers) == len(versions):
        return 1 + sum(version - 1 for version in numbers)
    return " + ".join(map(str, versions))


def added_up(
    found: Resolved, outputs: Outputs, class_weights: Weights | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function ``(logits, target) -> scalar``."""
    parts = found.sum.parts
    losses = [
        _called(part.component, function, outputs, class_weights)
        for part, function in zip(parts, found.functions, strict=True)
    ]
    if len(parts) == 1 and parts[0].weight == 1:
        return losses[0]
    return partial(_weighted_sum, losses, [part.weight for part in parts])


def _weighted_sum(
    losses: list[Callable[[Tensor, Tensor], Tensor]], weights: list[float], logits: Tensor, target: Tensor
) -> Tensor:
    first, *others = (weight * loss(logits, target) for loss, weight in zip(losses, weights, strict=True))
    for value in others:
        first = first + value
    return first


def _called(
    component: Component, function: Function, outputs: Outputs, class_weights: Weights | None
) -> Callable[[Tensor, Tensor], Tensor]:
    given = {"outputs": outputs, "class_weights": class_weights}
    taken = [] if _place(outputs) == "function" else [name for name in GIVEN if name in _parameters(function)]
    options = {**dict(component.options), **{name: given[name] for name in taken}}
    if not isinstance(function, type):
        return partial(function, **options)
    made: Callable[[Tensor, Tensor], Tensor] = function(**options)
    return made


def _part(part: Part, table: Table, outputs: Outputs, is_weighted: bool) -> tuple[Part, Function, str | None]:
    named, place = part.component, _place(outputs)
    extension = Extension(
        "loss",
        Loss,
        lambda loss: _serving(named.title, loss, place, table),
        given=ARGUMENTS if place == "function" else (*ARGUMENTS, *GIVEN),
        num_called_with=len(ARGUMENTS),
    )
    component, function, version = resolve(named.spelling, table, extension)
    _refuse_other_values(component, table)
    if (named.file or named.module) and place == "multilabel" and outputs.has_ignored:
        raise UserError(
            f"{component.title} cannot be used with ignore: it does not know of pixels that count nowhere; "
            f"use one of {', '.join(table)}, or leave ignore out"
        )
    if is_weighted and "class_weights" not in _parameters(function):
        raise UserError(
            f"{component.title} cannot be used with class_weights: it has no parameter of this name; use one "
            f"of {', '.join(table)}, or leave class_weights out"
        )
    if place == "multiclass" and len(outputs.scored) == len(outputs.names):
        _refuse_background(component, table)
    return Part(component, part.weight), function, version


def _place(outputs: Outputs) -> Place:
    """Which of a record's functions serves these classes."""
    if outputs.task == "multiclass":
        return "multiclass"
    return "multilabel" if outputs.task == "multilabel" or outputs.has_ignored else "function"


SERVED = {
    "multilabel": "classes that may overlap or binary masks with ignore",
    "multiclass": "classes that exclude each other",
}


def _serving(title: str, loss: Loss, place: Place, table: Table) -> Function:
    function: Function | None = getattr(loss, place)
    if function is None:
        raise UserError(f"{title} does not serve {SERVED[place]}: use one of {', '.join(table)}")
    return function


def _refuse_other_values(component: Component, table: Table) -> None:
    """Refuse numbers with which a loss of ours is no loss: it would be infinite, or least for the worst mask.

    Raises:
        UserError: naming the option and its range.
    """
    if component.file or component.module or component.name not in table:
        return
    ranges = table[component.name].ranges
    for name, value in component.options:
        least, greatest = ranges.get(name, (0, math.inf))
        if isinstance(value, int | float) and not least <= value <= greatest:
            wanted = (
                f"between {least:g} and {greatest:g}" if math.isfinite(greatest) else f"{least:g} or more"
            )
            raise UserError(f"{component.title}: {name} must be {wanted}, got {value:g}")


def _refuse_background(component: Component, table: Table) -> None:
    """Refuse options that concern the background where no class is.

    Raises:
        UserError: there is one.
    """
    record = known_record("loss", str(component), table, Loss)
    for name in record.of_background if record else ():
        if name in dict(component.options):
            raise UserError(
                f"{component.title}: {name} means nothing here, as no class is named background; leave it out"
            )


def _parameters(function: Function) -> list[str]:
    return list(inspect.signature(function).parameters)
