"""Question 5: the cheapest change with the most promise, from the data."""

from collections.abc import Callable, Sequence

import polars as pl

from segstudy.reporting.evidence import Evidence
from segstudy.reporting.questions.answer import Answer
from segstudy.reporting.rows import Row
from segstudy.reporting.words import count


def next_steps(evidence: Evidence, curves: pl.DataFrame, ranked: Sequence[str]) -> Answer:
    """Question 5: what the runs themselves say would help, the cheapest first."""
    winner = ranked[0]
    row = next(row for row in evidence.trained if row.name == winner)
    mine = curves.filter(pl.col("configuration") == winner)
    looks: tuple[Callable[[], str | None], ...] = (
        lambda: _threshold_step(evidence, winner),
        lambda: _longer_step(row, mine),
        lambda: _frozen_step(mine),
        lambda: _augmentation_step(row, mine),
        lambda: _seeds_step(evidence, winner),
        lambda: _size_step(evidence, winner),
    )
    found = [said for look in looks if (said := look()) is not None]
    lead = (
        f"For {winner}, the cheapest first:" if found else "The curves of the winner suggest nothing cheap."
    )
    return Answer("What should be tried next?", (lead, *found))


WORTHWHILE = 0.003  # of IoU
FROZEN = 0.25  # of the epochs


def _threshold_step(evidence: Evidence, winner: str) -> str | None:
    tuned = evidence.scores(winner, "validation", "native_iou_tuned")
    plain = evidence.scores(winner, "validation")
    if tuned is None or plain is None or (gain := float((tuned - plain).mean())) < WORTHWHILE:
        return None
    return f"Cut at the threshold best on validation instead of .5: {gain:+.3f} IoU there, at no cost."


def _longer_step(row: Row, mine: pl.DataFrame) -> str | None:
    total = int(mine["epoch"].max())  # type: ignore[arg-type]
    late = [record["summary"]["selected_epoch"] > 0.9 * total for record in row.records]
    if sum(late) <= len(late) / 2:
        return None
    return (
        f"Train longer: in {sum(late)} of {count(len(late), 'run')} the epoch kept lies in the last tenth of "
        f"{total}, so validation was still rising."
    )


def _frozen_step(mine: pl.DataFrame) -> str | None:
    slow = mine.select(pl.col("lr") < pl.col("lr").max() / 100).to_series()
    if (share := float(slow.cast(pl.Float64).mean())) < FROZEN:  # type: ignore[arg-type]
        return None
    lowest = float(mine["lr"].min())  # type: ignore[arg-type]
    return (
        f"Another schedule: for {share:.0%} of the epochs the learning rate was below a hundredth of its "
        f"start (lowest {lowest:.1e}); --set scheduler=cosine costs no time."
    )


def _augmentation_step(row: Row, mine: pl.DataFrame) -> str | None:
    kept = {record["key"]: record["summary"]["selected_epoch"] for record in row.records}
    at = mine.filter(pl.col("epoch") == pl.col("key").replace_strict(kept, return_dtype=pl.Int64))
    ahead = float((at["train_iou"] - at["validation_iou"]).mean())  # type: ignore[arg-type]
    if row.configuration["protocol"]["augmentation"] != "none" or ahead < 0.02:
        return None
    return (
        f"Augmentation (--set augmentation=flips or full): training IoU is {ahead:.3f} above validation "
        "at the epoch kept, so there is room; it costs little time, but more epochs."
    )


def _seeds_step(evidence: Evidence, winner: str) -> str | None:
    if len(evidence.seeds(winner)) > 1:
        return None
    return "More seeds (--seeds 5): with one, nothing above is known to be more than chance."


def _size_step(evidence: Evidence, winner: str) -> str | None:
    native, network = evidence.scores(winner), evidence.scores(winner, metric="network_iou")
    if native is None or network is None or (loss := float((network - native).mean())) < WORTHWHILE:
        return None
    return f"Larger images (--image-size): {loss:.3f} IoU is lost on the way back to native size alone."
