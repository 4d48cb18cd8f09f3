"""A study's grids in words: which levels are combined."""

from collections.abc import Mapping, Sequence
from typing import Any

from segstudy.config.protocol import Grid
from segstudy.config.runs import Configuration, spelled
from segstudy.config.study import Study
from segstudy.core.quantities import counted
from segstudy.core.sums import title

MANY = 3  # more grids than these are only counted
FEW = 2  # so many are named if a further grid has only some of the first one's levels


def in_words(study: Study) -> str:
    """Return ``2 architectures x 2 losses at batch 8, and again at batch 12 (protocol classic)``."""
    first, *others = _distinct(study)
    parts = [_one(first, study), *(_further(grid, first, study) for grid in others)]
    if len(parts) > MANY:
        parts = [f"{len(parts)} grids"]
    repeats = ""
    if study.seeds > 1:
        repeats += f", {study.seeds} seeds each"
    if study.folds:
        repeats += f", {study.folds} folds"
    if study.repeats > 1:
        repeats += f" repeated {study.repeats} times"
    return f"{', and '.join(parts)}{repeats} (protocol {study.preset})"


def how_to_leave_out(study: Study) -> str:
    """Return how to leave out the batch sizes of a further grid; empty if there is none."""
    sizes = [_batch(grid, study) for grid in _distinct(study)]
    if len(sizes) < 2 or all(size == sizes[0] for size in sizes):
        return ""
    return f"--batch-size {','.join(sizes[0])} leaves that out"


def _distinct(study: Study) -> list[Grid]:
    """Return the grids, without those that others contain."""
    found: list[Grid] = []
    known: set[Configuration] = set()
    for grid in study.grid:
        points = study.model_copy(update={"grid": (grid,)}).configurations()
        if not known.issuperset(points):
            found.append(grid)
            known.update(points)
    return found


def _one(grid: Grid, study: Study) -> str:
    counts = [_levels(grid, "architecture"), _levels(grid, "loss")]
    text = f"{' x '.join(counts)} at batch {_and(_batch(grid, study))}"
    return text + _other_factors(grid, study)


def _further(grid: Grid, first: Grid, study: Study) -> str:
    """Describe another grid by its differences from the first."""
    same = all(set(grid[name]) == set(first[name]) for name in ("architecture", "loss"))
    if same:
        what = "again"
    elif set(grid["loss"]) == set(first["loss"]):
        names = grid["architecture"]
        what = _and([title(str(n)) for n in names]) if len(names) <= FEW else f"{len(names)} architectures"
        what += " again" if set(names) <= set(first["architecture"]) else f" x {_levels(grid, 'loss')}"
    else:
        what = f"{_levels(grid, 'architecture')} x {_levels(grid, 'loss')}"
    return f"{what} at batch {_and(_batch(grid, study))}{_other_factors(grid, study)}"


def _batch(grid: Grid, study: Study) -> list[str]:
    return [str(size) for size in grid.get("batch_size", (study.protocol.batch_size,))]


def _levels(grid: Mapping[str, Sequence[Any]], factor: str) -> str:
    levels = grid[factor]
    return title(str(levels[0])) if len(levels) == 1 else counted(len(levels), factor)


def _other_factors(grid: Grid, study: Study) -> str:
    """Return further factors that vary within a grid or between grids, as ``, with lr 0.01 and 0.001``."""
    varying = {
        name: levels
        for name, levels in grid.items()
        if name not in ("architecture", "loss", "batch_size") and _num_levels(name, study) > 1
    }
    text = [f"{name} {_and([_level(name, level) for level in levels])}" for name, levels in varying.items()]
    return f", with {'; '.join(text)}" if text else ""


def _num_levels(factor: str, study: Study) -> int:
    """Return how many levels of a field all grids have together."""
    usual = (getattr(study.protocol, factor),)
    return len({str(level) for grid in study.grid for level in grid.get(factor, usual)})


def _level(name: str, level: Any) -> str:
    return spelled(name, list(level)) if isinstance(level, tuple | list) else str(level)


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
