"""The blocks of a README in a results folder that its study fills.

A block stands between two comments, ``<!-- NAME -->`` or ``<!-- NAME: ARGUMENTS -->`` and ``<!-- end -->``.
Text outside of them is left alone; ``readme_numbers.py`` checks its numbers.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable

import polars as pl

from segstudy.analysis.compare import compare_configurations
from segstudy.core.errors import UserError
from segstudy.reporting.sections.base import ReportData
from segstudy.reporting.tables import render
from segstudy.stats.training_sets import TrainingSetEffect, across_training_sets, training_set_effect

BLOCK = re.compile(r"^<!-- (?!end -->)([\w-]+)(?:: (.*?))? -->\n(.*?)^<!-- end -->$", re.M | re.S)
Block = Callable[[ReportData, str], str]


def filled(text: str, report: ReportData) -> str:
    """Return a README with every block as this study fills it.

    Raises:
        UserError: a block that is not known.
    """

    def fill(match: re.Match[str]) -> str:
        name, arguments = match[1], match[2] or ""
        if name not in BLOCKS:
            raise UserError(f"README.md: block {name!r} is not known; there are {', '.join(BLOCKS)}")
        opening = match[0].partition("\n")[0]
        return f"{opening}\n\n{BLOCKS[name](report, arguments).strip()}\n\n<!-- end -->"

    return BLOCK.sub(fill, text)


def _runs(report: ReportData, _: str) -> str:
    records = [record for row in report.results.trained for record in row.records]
    machines = Counter(_machine(record.environment) for record in records)
    hours = sum(record.seconds.total for record in records) / 3600
    counts = "; ".join(f"{number} on {machine}" for machine, number in machines.most_common())
    return f"{len(records)} runs, which took {hours:.1f} hours in all if added up: {counts}."


def _machine(environment: dict[str, object]) -> str:
    named = environment["processor"] if environment["device"] == "cpu" else environment["device"]
    return f"{named}, segstudy {environment['segstudy']}, PyTorch {environment['torch']}"


def _verdict(report: ReportData, _: str) -> str:
    return f"> {report.answers.verdict}"


def _limits(report: ReportData, _: str) -> str:
    said = report.answers
    return " ".join(text for text in (*said.limits, said.optimism, said.resolution) if text)


def _questions(report: ReportData, _: str) -> str:
    return "\n\n".join(
        f"**{number}. {each.question}** " + " ".join(each.sentences)
        for number, each in enumerate(report.answers.questions, 1)
    )


def _compare(report: ReportData, pairs: str) -> str:
    """Return a sentence for each pair of ``A B; C D``."""
    path = report.folder.path
    found = [pair.split() for pair in pairs.split(";")]
    return "\n".join(f"- {compare_configurations((path, a), (path, b)).sentence}" for a, b in found)


def _table(report: ReportData, _: str) -> str:
    return render(report.leaderboard, "markdown", outputs=report.results.outputs)


def _means(report: ReportData, _: str) -> str:
    """Return means by architecture, loss and batch size over the configurations of the leaderboard."""
    rows = report.leaderboard.filter(~pl.col("masks"))
    most = rows["batch_size"].mode().sort()[0]
    at_most = rows.filter(pl.col("batch_size") == most)
    parts = [
        *(("architecture", str(name), some) for (name,), some in _by(at_most, "architecture")),
        *(("loss", str(name), some) for (name,), some in _by(at_most, "loss")),
        *(
            ("architecture and batch size", f"{a}, {b}", some)
            for (a, b), some in _by(rows, "architecture", "batch_size")
        ),
    ]
    gap = rows["validation_iou"] - rows["test_iou"]
    rank = rows.select(pl.corr("validation_iou", "test_iou", method="spearman")).item()
    lines = [
        f"Means over configurations; by architecture and by loss at batch size {most}.",
        "",
        "| by | level | configurations | IoU validation | IoU test |",
        "| --- | --- | --: | --: | --: |",
        *(
            f"| {by} | {level} | {some.height} | {some['validation_iou'].mean():.3f} | "
            f"{some['test_iou'].mean():.3f} |"
            for by, level, some in parts
        ),
        "",
        f"Validation is above test in {(gap > 0).sum()} of {rows.height} configurations, by {gap.mean():.3f} "
        f"on average and by {gap.max():.3f} at most. Spearman correlation of the two: {rank:.2f}.",
    ]
    return "\n".join(lines)


def _by(rows: pl.DataFrame, *factors: str) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    return sorted(rows.group_by(*factors), key=lambda each: tuple(map(str, each[0])))


def _training_sets(report: ReportData, _: str) -> str:
    """Return how much the training set moves each configuration, and each difference."""
    results = report.results
    scores = {row.name: found for row in results.trained if (found := results.folds(row.name))}
    lines = [
        "| configuration | standard deviation between training sets |",
        "|---|--:|",
        *(f"| {name} | {_effect(training_set_effect(each))} |" for name, each in scores.items()),
        "",
        "| difference | for these training sets | for training sets like these | training sets |",
        "|---|--:|--:|--:|",
    ]
    for (b, theirs), (a, ours) in itertools.combinations(scores.items(), 2):
        here = compare_configurations((report.folder.path, a), (report.folder.path, b)).difference
        found = across_training_sets(ours, theirs, results.margin)
        cells = [f"{each.mean:+.3f} [{each.low:.3f}, {each.high:.3f}]" for each in (here, found)]
        cells.append(_effect(training_set_effect(ours, theirs)))
        lines.append(f"| {a} less {b} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _effect(effect: TrainingSetEffect | None) -> str:
    if effect is None:
        return "not measured"
    return f"{effect.sd:.4f} [{effect.low:.4f}, {effect.high:.4f}]"


def _classes(report: ReportData, _: str) -> str:
    """Return every configuration's test IoU in each class, with its interval."""
    results = report.results
    numbers = range(len(results.outputs.names))
    lines = [f"| configuration | {' | '.join(results.outputs.names)} |", "|---|" + "--:|" * len(numbers)]
    for name in report.leaderboard.filter(~pl.col("masks"))["configuration"]:
        cells = [results.class_interval(name, number) for number in numbers]
        lines.append(
            f"| {name} | "
            + " | ".join(
                "not measured" if each is None else f"{each.mean:.3f} [{each.low:.3f}, {each.high:.3f}]"
                for each in cells
            )
            + " |"
        )
    return "\n".join(lines)


BLOCKS: dict[str, Block] = {
    "runs": _runs,
    "verdict": _verdict,
    "limits": _limits,
    "compare": _compare,
    "questions": _questions,
    "means": _means,
    "training-sets": _training_sets,
    "classes": _classes,
    "table": _table,
}
