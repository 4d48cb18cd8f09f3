"""One function per command, with the same names; ``segstudy.run(...)`` is the command ``segstudy run``.

PyTorch and the chart libraries are imported by the functions that need them, as it takes seconds.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segstudy.analysis.against_baselines import baseline_note
from segstudy.analysis.configurations import rows_of
from segstudy.analysis.leaderboard import leaderboard
from segstudy.analysis.looks import progress, stops
from segstudy.analysis.result_warnings import warnings_of_ranked
from segstudy.analysis.results import Results, gather
from segstudy.api.data import Foreground
from segstudy.api.studies import Study
from segstudy.core.arguments import ArgumentError, checked_call
from segstudy.core.environment import differing_text
from segstudy.core.locks import holder, is_held
from segstudy.core.paths import expanded
from segstudy.core.progress import Stage, silent
from segstudy.data.datasets import read
from segstudy.deploy.export import FormatName
from segstudy.reporting.tables import render
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import looks_of
from segstudy.store.verify import Verification, quarantined, verify_folder
from segstudy.study.options import excluded, meaning_of
from segstudy.study.remaining_time import time_left

if TYPE_CHECKING:
    import polars as pl

    from segstudy.analysis.compare import Comparison
    from segstudy.analysis.compare_sets import SetsComparison
    from segstudy.deploy.export.parity import Exported
    from segstudy.mask_errors.audit import Audit
    from segstudy.study.removal import Removal

TableFormat = Literal["text", "markdown", "csv", "json", "latex"]


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of a study.

    Attributes:
        num_planned: runs that study.toml names.
        num_finished: of the planned runs.
        num_failed: of the planned runs, those whose last attempt failed.
        num_left: of the planned runs, failed ones included.
        num_begun: of those left, started and saved: the next ``run`` continues with them.
        num_unnamed: finished runs that study.toml does not name.
        holder: the process that trains this study now, in words; None if there is none.
        failures: what happened, what helps.
        differing: differences between finished runs that may change their last bits, in words.
        seconds_to_go: wall time of the runs that the next ``run`` trains; None where that is not known.
        time_basis: of this estimate, or what is unknown.
        looks: how far a sequential study came and what it stopped, in sentences.
    """

    num_planned: int
    num_finished: int
    num_failed: int
    num_left: int
    num_begun: int
    num_unnamed: int
    holder: str | None
    failures: tuple[dict[str, Any], ...]
    seconds_to_go: float | None
    time_basis: str
    differing: str = ""
    looks: tuple[str, ...] = ()


@checked_call
def status(folder: str | Path) -> Status:
    """Return the runs of a study that are finished, failed and left, from its folder alone."""
    opened = Study(folder)
    rows = rows_of(opened.folder)
    finished = opened.folder.finished()
    failed = opened.folder.failed()
    num_planned = sum(row.num_planned for row in rows)
    num_finished = sum(len(row.records) for row in rows)
    left = num_planned - num_finished
    records = opened.folder.run_records(finished)
    ahead = time_left(opened.folder, rows)
    looks = looks_of(opened.folder)
    return Status(
        num_planned=num_planned,
        num_finished=num_finished,
        num_failed=len(failed),
        num_left=left,
        num_begun=len(opened.folder.begun() - finished - failed.keys()),
        num_unnamed=len(finished) - num_finished,
        holder=holder(opened.folder.lock) if is_held(opened.folder.lock) else None,
        failures=tuple(failure.model_dump(exclude={"key"}) for failure in failed.values()),
        differing=differing_text(each for record in records for each in record.environments),
        seconds_to_go=ahead.seconds,
        time_basis=ahead.basis,
        looks=() if looks is None else (progress(looks), *stops(looks)),
    )


@checked_call
def table(
    folder: str | Path,
    format: TableFormat = "text",  # noqa: A002
    show_all: bool = False,
    width: int | None = None,
) -> str:
    """Return the leaderboard as text (below it warnings and factors), Markdown, CSV, JSON or LaTeX.

    Args:
        folder: the study's folder.
        format: ``text``, ``markdown``, ``csv``, ``json`` or ``latex``.
        show_all: also runs that study.toml no longer names.
        width: characters in a line of text: columns that do not fit are left out, and named; None for all.
    """
    if width is not None and width < 1:
        raise ArgumentError(f"table(): width must be at least 1 or None, got {width}")
    opened = Study(folder)
    results = gather(opened.folder, show_all)
    frame = leaderboard(opened.folder, results=results)
    text = render(frame, format, width, Path(folder), [each for row in results.rows for each in row.records])
    shown = _notes(opened.folder, results, frame, not show_all) if format == "text" else []
    lines = [line for note in shown for line in textwrap.wrap(note, width or len(note))]
    return "\n".join([text.rstrip(), *lines, ""]) if lines else text


def _notes(folder: StudyFolder, results: Results, frame: "pl.DataFrame", factors: bool) -> list[str]:
    """Return the sentences below a leaderboard in a terminal: warnings, and the effects of factors."""
    from segstudy.analysis.chances import chances_sentence  # the libraries take a moment
    from segstudy.analysis.factor_answers import factor_sentences

    notes = (
        baseline_note(folder, frame),
        chances_sentence(results, frame),
        *warnings_of_ranked(results, frame),
    )
    return [note for note in (*notes, *(factor_sentences(results) if factors else ())) if note]


@checked_call
def verify(folder: str | Path, repair: bool = False) -> Verification:
    """Check every file of a study against its checksums and keys.

    Args:
        folder: the study's folder.
        repair: move what is wrong to ``quarantine/<n>/``; nothing is ever deleted, and the next ``run``
            trains again what is missing then.

    Raises:
        UserError: no study there, a run of a newer version, or, for a repair, somebody at work on it.
    """
    found = verify_folder(StudyFolder(Path(folder)))
    return quarantined(StudyFolder(Path(folder)), found) if repair and found.faults else found


@checked_call
def compare(*arguments: str) -> "Comparison":
    """Two configurations on the same test images: ``compare(DIR, A, B)`` or ``compare("DIR1:A", "DIR2:B")``.

    Raises:
        UserError: an unknown name, nothing finished, or other test images.
    """
    from segstudy.analysis.compare import compare_configurations, sides

    return compare_configurations(*sides([expanded(each) for each in arguments]))


@checked_call
def compare_sets(
    *folders: str | Path, out: str | Path | None = None, accept_differences: bool = False
) -> "SetsComparison":
    """Compare the configurations that finished studies on different data sets have in common.

    Args:
        folders: of the studies, at least two.
        out: a file to write: one page with the answers, charts and tables.
        accept_differences: compare even if protocols or versions of the code differ.

    Raises:
        UserError: one data set twice, fewer than two common configurations, protocols that differ, or a file
            that is another's.
    """
    from segstudy.analysis.compare_sets import compare_data_sets

    if out is not None:
        from segstudy.reporting.own_pages import refuse_place
        from segstudy.reporting.sets_page import GENERATOR, write_sets_page

        refuse_place(Path(out), GENERATOR)
    found = compare_data_sets([Path(expanded(str(each))) for each in folders], accept_differences)
    if out is not None:
        write_sets_page(found, Path(out))
    return found


@checked_call
def audit(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    masks2: str | Path | None = None,
    html: str | Path | None = None,
    images: bool = True,
    stage: Stage = silent,
) -> "Audit":
    """Return the masks of a finished study, the most suspicious first; changes nothing in it.

    A mask is suspicious if networks that have not seen its image agree with each other, but not with it.

    Args:
        folder: the study's folder.
        data: where the data set lies now, if not where the study says.
        masks2: a folder with a second rater's masks, named by id; ``masks2`` in the data set, if it is there.
        html: a file to write: one page with image, mask and prediction, and boxes to tick.
        images: whether pictures of the data may be in it.
        stage: called with what is being done, and how much of it is done.

    Raises:
        UserError: nothing finished, predictions or data that are not there, or a file that is another's.
    """
    from segstudy.mask_errors.audit import audit_study

    if html is not None:
        from segstudy.reporting.audit_page import GENERATOR, write_audit_page
        from segstudy.reporting.own_pages import refuse_place

        refuse_place(Path(html), GENERATOR)
    found = audit_study(Study(folder).folder, data, Path(masks2) if masks2 else None, stage)
    if html is not None:
        write_audit_page(found, Path(html), images, lambda done, of: stage("writing the page", done, of))
    return found


@checked_call
def report(folder: str | Path, images: bool = True) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/`` of a study; returns the page.

    Args:
        folder: the study's folder.
        images: whether pictures of the data may be in it.
    """
    from segstudy.reporting.page import write_report

    return write_report(Study(folder).folder, images)


@checked_call
def score(
    data: str | Path,
    masks: str | Path,
    study: str | Path,
    name: str | None = None,
    *,
    deterministic: bool = False,
    rule: str | None = None,
) -> list[dict[str, Any]]:
    """Score masks that any other tool made, and store them in the study as ``external/<name>/``.

    Args:
        data: the study's data set.
        masks: a folder with one mask per image, named by its id; or one such folder per model, or per seed.
        study: the study's folder.
        name: of the model, where there is one only.
        deterministic: the tool gives the same masks every time: there is no training noise to measure.
        rule: what the values of these masks mean, such as ``cut=0.5``; found from all of them if left out.

    Returns:
        One record per model.

    Raises:
        UserError: other data than the study's, or masks that do not fit.
    """
    from segstudy.evaluation.external_masks import score_masks

    return score_masks(data, Path(masks), Study(study).folder, name, deterministic, rule)


@checked_call
def evaluate(  # noqa: PLR0913 (an option each)
    model: str | Path,
    data: str | Path,
    study: str | Path | None = None,
    *,
    name: str | None = None,
    device: str = "auto",
    reader: str | None = None,
    foreground: Foreground = None,
    masks: str | None = None,
    exclude: str | Path | Sequence[str] = (),
    network: str | None = None,
) -> dict[str, Any]:
    """Test trained models on data they have never seen, and store the scores as ``external/<name>/``.

    Args:
        model: a run's folder, or a study's: then all runs of its winner.
        data: the external test set; all of it is tested on.
        study: the study that takes the result, if not the model's own.
        name: of the result.
        device: where to predict.
        reader: how to read the data, if that is not plain from the folder.
        foreground: values of a multi-class mask that count as foreground: ``1``, ``"1+2"`` or ``[1, 2]``.
        masks: the rule for the mask values of this data set; found from all masks if left out.
        exclude: ids to leave out, or a file with one a line.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Returns:
        The record, with the scores on the model's own test subset beside.

    Raises:
        UserError: no model, wrong data, or images the model has seen.
    """
    from segstudy.core.device import choose_device
    from segstudy.deploy.external_data import SEEN, evaluate_models
    from segstudy.deploy.predict.load import models_of

    models = models_of(Path(model))
    folder = Study(study).folder if study is not None else models.study(SEEN)
    dataset = read(data, reader, excluded(exclude))
    meaning = meaning_of(masks, foreground)
    where = choose_device(device)
    return evaluate_models(models, dataset, folder, where, name, meaning, network=network)


@checked_call
def export(  # noqa: PLR0913 (an option each)
    model: str | Path,
    to: FormatName,
    *,
    int8: bool = False,
    out: str | Path | None = None,
    data: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    network: str | None = None,
) -> "Exported":
    """Write a trained model as a file that runs without PyTorch, if its masks stay the same.

    Args:
        model: a run's folder, or a study's: then the best run of its winner.
        to: the format, a key of ``FORMATS``: ``onnx`` or ``openvino``.
        int8: use 8-bit arithmetic, calibrated on training images.
        out: the file; if left out in the study's ``exports``, for a model outside of its study here.
        data: where the data set lies now, if not where the study says; for a model outside of its study,
            images with masks to compare masks on.
        progress: called with what is being done.
        network: ``my.py:Net``, for a model whose network comes from a file of one's own.

    Raises:
        UserError: no model, no data, missing packages, or masks that differ by more than the tolerance.
    """
    from segstudy.deploy.export.parity import export_model
    from segstudy.deploy.predict.load import models_of

    best = models_of(Path(model)).best()
    return export_model(
        best,
        to,
        int8=int8,
        out=Path(out) if out else None,
        data=Path(data) if data else None,
        progress=progress,
        network=network,
    )


@checked_call
def remove(
    folder: str | Path,
    configuration: str | None = None,
    *,
    unnamed: bool = False,
    yes: bool = False,
    confirm: Callable[["Removal"], bool] | None = None,
) -> "Removal":
    """Delete the runs of a configuration, or all that the study no longer names, permanently.

    ``study.toml`` then no longer names the configuration, so that ``run`` does not train it again. The
    report, which would show what is gone, goes too; ``report`` writes it again.

    Args:
        folder: the study's folder.
        configuration: as the leaderboard calls it; of masks of another tool, their name.
        unnamed: instead, all runs that ``table --all`` shows beyond the study's own.
        yes: continue without a question.
        confirm: called instead with the ``Removal``; False deletes nothing.

    Returns:
        What was deleted.

    Raises:
        UserError: an unknown name, the study's only configuration, somebody at work there, or neither ``yes``
            nor a ``confirm`` that agrees.
    """
    from segstudy.study.removal import remove_from

    agrees = (lambda _: yes) if yes or confirm is None else confirm
    return remove_from(StudyFolder(Path(folder)), configuration, unnamed, agrees)
