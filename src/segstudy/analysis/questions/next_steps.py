"""Question 5: the cheapest change with the most promise, from the data."""

from collections.abc import Callable, Sequence

import polars as pl

from segstudy.analysis.configurations import Row
from segstudy.analysis.contrasts import spread
from segstudy.analysis.design import design_of
from segstudy.analysis.questions.answer import Answer
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted, percent


def next_steps(results: Results, curves: pl.DataFrame, ranked: Sequence[str]) -> Answer:
    """Question 5: the changes that the runs suggest, the cheapest first. Test scores are not used."""
    winner = ranked[0]
    row = next(row for row in results.trained if row.name == winner)
    mine = curves.filter(pl.col("configuration") == winner)
    looks: tuple[Callable[[], str | None], ...] = (
        lambda: _threshold_step(results, winner),
        lambda: _frozen_step(mine),
        lambda: _augmentation_step(row, mine),
        lambda: _longer_step(row, mine),
        lambda: _size_step(results, winner),
        lambda: _factor_step(results),
        lambda: _seeds_step(results, winner),
    )
    found = [said for look in looks if (said := look()) is not None]
    if not found:
        return Answer(QUESTION, ("Neither the curves nor the factors suggest a cheap change.",))
    return Answer(QUESTION, (f"For {winner}, the cheapest first:", *found))


QUESTION = "What should be tried next?"
WORTHWHILE = 0.002  # of IoU
FROZEN = 0.25  # of the epochs
LATE = 0.9  # of the epochs
AHEAD = 0.01  # of training IoU over validation


def _threshold_step(results: Results, winner: str) -> str | None:
    tuned = results.scores(winner, "validation", "native_iou_tuned")
    plain = results.scores(winner, "validation")
    if tuned is None or plain is None or (gain := float((tuned - plain).mean())) < WORTHWHILE:
        return None
    return f"Cut at the threshold best on validation instead of .5: {gain:+.3f} IoU there, at no cost."


def _longer_step(row: Row, mine: pl.DataFrame) -> str | None:
    total = int(mine["epoch"].max())  # type: ignore[arg-type]
    if row.configuration["protocol"].get("select") == "last":  # which is kept whatever the scores do
        return None
    late = [record.summary.selected_epoch > LATE * total for record in row.records]
    if sum(late) < len(late) / 3:
        return None
    return (
        f"Train longer: in {sum(late)} of {counted(len(late), 'run')} the epoch kept lies in the last tenth "
        f"of {total}, so more epochs may raise validation further; the cost grows with them."
    )


def _frozen_step(mine: pl.DataFrame) -> str | None:
    slow = mine.select(pl.col("lr") < pl.col("lr").max() / 100).to_series()
    if (share := float(slow.cast(pl.Float64).mean())) < FROZEN:  # type: ignore[arg-type]
        return None
    lowest = float(mine["lr"].min())  # type: ignore[arg-type]
    return (
        f"Another schedule: for {percent(share)} of the epochs the learning rate was below a hundredth of "
        f"its start (lowest {lowest:.1e}); --set scheduler=cosine costs no time."
    )


def _augmentation_step(row: Row, mine: pl.DataFrame) -> str | None:
    end = mine.filter(pl.col("epoch") > LATE * pl.col("epoch").max())
    ahead = float((end["train_iou"] - end["validation_iou"]).mean())  # type: ignore[arg-type]
    if row.configuration["protocol"]["augmentation"] != "none" or ahead < AHEAD:
        return None
    return (
        f"Augmentation (--set augmentation=flips or full): in the last tenth of the epochs training IoU is "
        f"{ahead:.3f} above validation, and augmentation may reduce this gap. It takes little time, but more "
        "epochs."
    )


def _seeds_step(results: Results, winner: str) -> str | None:
    if len(results.seeds(winner)) > 1:
        return None
    return "More seeds (--seeds 5): with one, nothing above is known to be more than chance."


def _size_step(results: Results, winner: str) -> str | None:
    native, network = (results.scores(winner, "validation", m) for m in ("native_iou", "network_iou"))
    if native is None or network is None or (loss := float((network - native).mean())) < WORTHWHILE:
        return None
    return f"Larger images (--image-size): {loss:.3f} IoU is lost on the way back to native size alone."


def _factor_step(results: Results) -> str | None:
    """Return the factor whose levels differ most on validation, as a suggestion."""
    design = design_of(results)
    ranges = {factor: spread(design, factor, "validation") for factor in design.factors}
    known = {factor: each for factor, each in ranges.items() if each is not None}
    if len(known) < 2:
        return None
    order = sorted(known, key=lambda factor: -known[factor])
    most, least = (factor.replace("_", " ") for factor in (order[0], order[-1]))
    return (
        f"Look among the levels of {most} first: the best and the worst lie {known[order[0]]:.3f} IoU apart "
        f"on validation, those of {least} {known[order[-1]]:.3f}."
    )
