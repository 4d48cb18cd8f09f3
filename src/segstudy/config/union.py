"""One study of all configurations of several studies."""

from collections.abc import Sequence
from typing import Any

from segstudy.config.protocol import Grid, Level, Protocol
from segstudy.config.runs import Configuration, spelled
from segstudy.config.study import Study, validated

Point = tuple[tuple[str, str, str], str, int]


def union(studies: Sequence[Study]) -> Study:
    """Return a study that plans every run of these, and what else its seeds and sets of folds imply.

    Data, split, margin and name are those of the first. Seeds and sets of folds are the largest numbers. A
    field of the protocol in which the studies differ becomes a factor of their grids. A grid without a
    configuration of its own is left out.

    Raises:
        UserError: more configurations or runs than a study can have.
    """
    first = studies[0]
    base = _common([study.protocol for study in studies])
    grids: list[Grid] = []
    known: set[Point] = set()
    for study in studies:
        for grid in study.grid:
            points = {_point(each) for each in study.model_copy(update={"grid": (grid,)}).configurations()}
            if not known.issuperset(points):
                known |= points
                grids.append(_completed(grid, study.protocol, base))
    return validated(
        {
            **first.model_dump(),
            "seeds": max(study.seeds for study in studies),
            "repeats": max(study.repeats for study in studies),
            "accept_duplicates": any(study.accept_duplicates for study in studies),
            "protocol": base.model_dump(),
            "grid": grids,
        },
        "",
    )


def differing_fields(studies: Sequence[Study]) -> list[str]:
    """Return the fields of the protocol that have other values in one study than in another."""
    return [
        name
        for name in Protocol.model_fields
        if len({_levels(study, name) for study in studies}) > 1 and any(_is_used(s, name) for s in studies)
    ]


def levels_text(study: Study, name: str) -> str:
    """Return all values of a protocol field in a study: ``64, 128``."""
    return ", ".join(sorted(_levels(study, name)))


def _levels(study: Study, name: str) -> frozenset[str]:
    return frozenset(spelled(name, each.level(name)) for each in study.configurations())


def _is_used(study: Study, name: str) -> bool:
    return any(name not in each.protocol.idle() for each in study.configurations())


def _common(protocols: Sequence[Protocol]) -> Protocol:
    """Return the protocol of the first; None, which no grid can have, where one of them has it."""
    missing = {
        name: None for name in Protocol.model_fields if any(getattr(each, name) is None for each in protocols)
    }
    return protocols[0].model_copy(update=missing)


def _completed(grid: Grid, own: Protocol, base: Protocol) -> Grid:
    """Return a grid with every field of its study's protocol in which that differs from the common one."""
    different = {
        name: (_level(name, own),)
        for name in Protocol.model_fields
        if name not in grid and getattr(own, name) != getattr(base, name)
    }
    return {**grid, **different}


def _level(name: str, protocol: Protocol) -> Level:
    value: Any = protocol.model_dump(mode="json")[name]
    if not isinstance(value, list):
        return value  # type: ignore[no-any-return]
    text = spelled(name, value)  # a size or classes, as the command line has them
    return int(text) if text.isdecimal() else text


def _point(configuration: Configuration) -> Point:
    """Return what two configurations have in common that have the same runs."""
    protocol = configuration.protocol
    return configuration.identity, protocol.split, protocol.split_seed
