"""A methods paragraph ready for a paper, with its BibTeX."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segstudy.analysis.changes_after_registration import registered
from segstudy.analysis.configurations import Row
from segstudy.analysis.design import level
from segstudy.analysis.formatting import listed
from segstudy.analysis.hardware import balance_text, hardware
from segstudy.analysis.results import Results
from segstudy.analysis.seed_plan import SeedPlan
from segstudy.analysis.verdict import Answers
from segstudy.config.protocol import Protocol
from segstudy.config.study import Study
from segstudy.core.outputs import Outputs
from segstudy.core.quantities import counted
from segstudy.core.score_words import absent_convention, filled, over_classes
from segstudy.core.version import __version__
from segstudy.losses import known_losses
from segstudy.metrics import METRICS, column, shown_in
from segstudy.models import known_model
from segstudy.reporting.data_description import knows_groups
from segstudy.reporting.procedure import ALL, procedure, to_native, trained
from segstudy.reporting.sections.base import ReportData

MOST_CLASSES = 8  # that are named

REFERENCES = Path(__file__).parent / "references.bib"
OPTIMIZER_SOURCES = {"adam": ("adam",)}
# The tests, each with the key of its source.
TESTS = {
    "winner": (
        "gameshowell",
        "Games and Howell's comparisons of all pairs on test gave a 95 % confidence set of the best "
        "configuration (Hsu's comparison with the best).",
    ),
    "training_sets": (
        "nadeau",
        "For training sets like these, the training set of every fold was a random effect.",
    ),
    "ranks": ("demsar", "Ranks over seeds were compared by Friedman's and Nemenyi's tests."),
    "effects": (
        "brunner",
        "Factors were analysed by the ANOVA-type statistic of a design with unequal variances.",
    ),
    "levels": (
        "gameshowell",
        "Levels of a factor were compared on equal settings of everything else; of more than two levels all "
        "pairs at once, by Games and Howell's procedure.",
    ),
}


@dataclass(frozen=True, slots=True)
class Methods:
    """A paragraph, its sources as BibTeX, and the data's own citation, which has no BibTeX."""

    paragraph: str
    bibtex: str
    citation: str


def values(report: ReportData) -> dict[str, Any] | None:
    """Return the values of ``methods.html.j2``."""
    found = methods(report.study, report.results, report.data, report.answers, registered(report.folder).text)
    return {"methods": found} if found.paragraph else None


def methods(
    study: Study, results: Results, data: Mapping[str, Any], said: Answers, registration: str = ""
) -> Methods:
    """Describe how a study was done, from what it was; a test is named only where it was made.

    Args:
        study: as it was last run.
        results: of its folder.
        data: content of ``data.json``.
        said: the conclusions from its scores.
        registration: the study's preregistration in sentences.
    """
    there = [row for row in results.trained if row.records]
    if not there:
        return Methods("", "", "")
    protocols = [Protocol.model_validate(row.configuration["protocol"]) for row in there]
    keys = [
        "segstudy",
        *_sources(there, protocols),
        *(each.citation for each in METRICS.values() if each.citation),
    ]
    statistics, sources = _statistics(results, said)
    sentences = [
        _trained(study, there, data, results.seed_plan),
        procedure(protocols),
        _scored(len(there), results, protocols),
        *results.seed_plan.sequence,
        *statistics,
        *_hardware(there),
        *([registration] if registration else []),
        f"Everything was done with segstudy {__version__}.",
    ]
    return Methods(
        " ".join(sentences),
        bibtex(keys + sources),
        str(data.get("citation") or ""),
    )


def _trained(study: Study, rows: Sequence[Row], data: Mapping[str, Any], seed_plan: SeedPlan) -> str:
    num_runs = sum(len(row.records) for row in rows)
    grouped = knows_groups(data)
    parts = (
        f"{study.folds} folds{' that divide no patient or lesion' if grouped else ''} "
        f"(each tests once, the next validates){_repeated(study)}"
        if study.folds
        else "one split into training, validation and test images"
        f"{' that divides no patient or lesion' if grouped else ''}"
    )
    independent = (
        "" if grouped else " Each image was treated as independent; patients or lesions are not known."
    )
    return (
        f"{trained(rows)} on {data.get('name', 'the data')} "
        f"({counted(len(data.get('samples', [])), 'image')}), each with "
        f"{seed_plan.seeds_text(study.seeds, 'random seed')} and {parts}: {counted(num_runs, 'run')} in all."
        f"{independent}"
    )


def _repeated(study: Study) -> str:
    return f", repeated {study.repeats} times with other folds" if study.repeats > 1 else ""


def _overlap(results: Results) -> list[str]:
    """Return the metrics of overlap for a paper, as far as any run computed them."""
    computed = {name for table in results.tables.values() for name in table.columns}
    return [
        metric.title
        for name, metric in shown_in("table").items()
        if metric.takes == "counts" and column(name) in computed
    ]


def _decided(outputs: Outputs, overlap: Sequence[str], protocols: Sequence[Protocol]) -> str:
    """Return how masks were decided, and what was computed of them."""
    back = f"were {to_native(protocols)} each image's own size"
    if outputs.task == "binary":
        return (
            f"Foreground probabilities {back} and cut at 0.5; "
            f"{listed(overlap, ALL)} were computed per image and averaged, an empty prediction of an empty "
            "mask counting 1."
        )
    how = "the most probable class was taken" if outputs.task == "multiclass" else "each was cut at 0.5"
    names = listed([outputs.names[number] for number in outputs.scored], MOST_CLASSES)
    return (
        f"The classes' probabilities {back} and {how}; "
        f"{listed(overlap, ALL)} were computed per image and class, averaged{over_classes(outputs)} "
        f"({names}) in each image, and then over images. {absent_convention(outputs)}"
    )


def _scored(num_configurations: int, results: Results, protocols: Sequence[Protocol]) -> str:
    ranked = "Configurations were ranked by validation; test" if num_configurations > 1 else "Test"
    use = "reporting and for the looks" if results.seed_plan.is_sequential else "reporting"
    lost = filled("{missed}", results.outputs)
    ignored = " Ignored pixels counted nowhere." if results.outputs.has_ignored else ""
    return (
        f"{_decided(results.outputs, _overlap(results), protocols)}{ignored} "
        "Surface distances are in pixels between "
        f"boundaries that include the image's frame, {lost} costing the diagonal; the normalised surface "
        f"distance allows {100 * protocols[0].nsd_tolerance:g} % of the diagonal. "
        f"Expected calibration error has 15 bins per image. {ranked} was used for {use} only."
    )


def _hardware(rows: Sequence[Row]) -> list[str]:
    """Return what a reader must know where runs were trained on different hardware."""
    found = hardware(rows)
    if not found.kinds:
        return []
    kinds = [kind.text for kind in found.kinds]
    in_parts = f"; {counted(len(found.parts), 'run')} in parts on several" if found.parts else ""
    return [
        f"Runs were trained on different hardware: {'; '.join(kinds)}{in_parts}.",
        *found.confounded,
        balance_text(found),
    ]


def _statistics(results: Results, said: Answers) -> tuple[list[str], list[str]]:
    """Return sentences on the computed statistics, and the keys of their sources."""
    repeated = any(results.has(row.name) and len(results.seeds(row.name)) > 1 for row in results.trained)
    if not repeated:
        return ["Intervals are 95 % over images; training noise was not measured."], []
    versus = said.versus or {}
    what = "Means and differences have" if versus else "Means have"
    own = (
        "each configuration's own seed variance" if len(results.trained) > 1 else "the variance of the seeds"
    )
    sentences = [
        f"{what} 95 % intervals from a model with random images, random runs and an "
        "image-by-configuration component (runs as readers, images as cases), with Satterthwaite's "
        f"degrees of freedom and {own}."
    ]
    if versus:
        sentences.append(
            f"Differences whose interval lies within {results.margin:g} IoU were called practically equal."
        )
    made = {
        "winner": bool(said.contenders),
        "training_sets": said.training_sets is not None,
        "ranks": said.ranking is not None,
        "effects": any(found.effects for _, found in said.factorials),
        "levels": any(
            each.effect.num_levels > 2 and each.effect.has_training_noise for each in said.factors.effects
        ),
    }
    tests = [TESTS[name] for name, was_made in made.items() if was_made]
    sources = dict.fromkeys(source for source, _ in tests)
    return [*sentences, *(sentence for _, sentence in tests)], ["mrmc", *sources]


def _sources(rows: Sequence[Row], protocols: Sequence[Protocol]) -> list[str]:
    """Return the keys of the sources of architectures, losses and optimizer, each once."""
    found: list[str] = []
    for row in rows:
        records = [known_model(level(row, "architecture")), *known_losses(level(row, "loss"))]
        found += [key for record in records if record for key in record.citations]
    for protocol in protocols:
        found += OPTIMIZER_SOURCES.get(protocol.optimizer, ())
    return list(dict.fromkeys(found))


def bibtex(keys: Sequence[str]) -> str:
    """Return the BibTeX entries of these keys, in their order; for an unknown key of a plug-in a comment."""
    text = REFERENCES.read_text(encoding="utf-8")
    entries = {found[1]: found[0] for found in re.finditer(r"@\w+\{(\w+),.*?\n\}", text, re.DOTALL)}
    return "\n".join(entries.get(key, f"% {key}: named by a plug-in; add the entry") for key in keys)
