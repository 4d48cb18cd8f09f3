"""How much of the winner's scores it owes to the choice: it is the best of several on validation."""

from collections.abc import Iterator, Sequence

from segstudy.analysis.formatting import signed
from segstudy.analysis.results import Results
from segstudy.stats.intervals import AnyScores, by_seed
from segstudy.stats.optimism import optimism, score_of_choice

LEAST_SHOWN = 0.0005  # of IoU: less is printed as .000


def optimism_text(results: Results, names: Sequence[str]) -> str:
    """Return the winner's scores on validation and test, what is expected of the choice, and what it scores.

    Args:
        results: of the study.
        names: configurations with all their runs and the same test images, the winner first.

    Returns:
        Sentences; nothing if some that competed have fewer seeds, because they were stopped.
    """
    if not results.seed_plan.keeps_all_competitors:
        return ""
    found = {part: results.scores(names[0], part) for part in ("validation", "test")}
    if found["validation"] is None or found["test"] is None:
        return ""
    validation, test = float(found["validation"].mean()), float(found["test"].mean())
    seen = (
        f"{names[0]} has {validation:.3f} on validation and {test:.3f} on test (validation minus test: "
        f"{signed(validation - test)})."
    )
    others = _chosen_from(results, names)
    return " ".join([seen, *_expected(results, others), *_scored(results, others, test)])


def choice_warning(results: Results, names: Sequence[str]) -> Iterator[str]:
    """Say that the winner's test mean profits from the choice, though test chose nothing."""
    others = _chosen_from(results, names)
    if len(others) < 2 or not results.seed_plan.keeps_all_competitors:
        return
    expected = optimism(*_sides(results, others, joined=True))
    if expected.test < LEAST_SHOWN:
        return
    shared = _shared(results, others)
    if not expected.has_training_noise:
        yield (
            f"{names[0]} was chosen by validation, but {shared}: its test mean may be up to "
            f"{expected.test:.3f} too high. One seed cannot show by how much."
        )
        return
    score = score_of_choice(*_sides(results, others, joined=False))
    free = "" if score is None else f" {_without(results, others)} has IoU {score:.3f} on test."
    yield (
        f"{names[0]} was chosen by validation, but {shared}: its test mean may be up to {expected.test:.3f} "
        f"too high.{free}"
    )


def _chosen_from(results: Results, names: Sequence[str]) -> list[str]:
    """Return the configurations with the winner's validation images."""
    first = names[0]
    return [
        name
        for name in names
        if results.has(name, "validation")
        and results.ids(name, "validation") == results.ids(first, "validation")
        and len(set(results.groups_of(name, "validation"))) > 1
        and results.scores(name, "validation") is not None
    ]


def _expected(results: Results, names: Sequence[str]) -> Iterator[str]:
    if len(names) < 2:
        return
    found = optimism(*_sides(results, names, joined=True))
    equal = (
        f"Were all {len(names)} configurations equal, the best of them would look {found.validation:.3f} "
        "better on validation than it is"
    )
    also = f"and {found.test:.3f} better on test, because {_shared(results, names)}"
    if found.has_training_noise:
        yield f"{equal}, {also}; the more they differ, the less."
    else:
        yield (
            f"One seed does not measure the noise of training. {equal} (from images alone "
            f"{found.least:.3f}), {also}; the more they differ, the less."
        )


def _scored(results: Results, names: Sequence[str], test: float) -> Iterator[str]:
    score = score_of_choice(*_sides(results, names, joined=False)) if len(names) > 1 else None
    if score is not None:
        yield (
            f"{_without(results, names)} has IoU {score:.3f} on test ({names[0]}: {test:.3f}). This is a "
            "little low, because less data choose."
        )


def _in_folds(results: Results, names: Sequence[str]) -> bool:
    """Whether every image is a validation image of one run and a test image of another one."""
    return all(
        (name, part) in results.by_fold for name in names for part in ("validation", "test")
    ) and results.ids(names[0], "validation") == results.ids(names[0])


def _shared(results: Results, names: Sequence[str]) -> str:
    if _in_folds(results, names):
        return "the same runs and images are scored on test too"
    return "the same runs are scored on test too"


def _without(results: Results, names: Sequence[str]) -> str:
    if _in_folds(results, names):
        return "Chosen without the runs and images that are tested (each fold in turn), the choice"
    return "Chosen without the runs that are tested (each seed in turn), the choice"


def _sides(results: Results, names: Sequence[str], joined: bool) -> tuple[list[AnyScores], list[AnyScores]]:
    """Return the validation and the test scores of each configuration.

    Args:
        results: of the study.
        names: configurations with the same validation images and the same test images.
        joined: whether the images of a group are one unit.
    """
    read = results.runs_of_units if joined else results.runs
    in_folds = _in_folds(results, names)
    ours, theirs = (
        [found if in_folds else by_seed(found) for name in names if (found := read(name, part)) is not None]
        for part in ("validation", "test")
    )
    return ours, theirs
