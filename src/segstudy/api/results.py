"""One function per command, with the same names; ``segstudy.run(...)`` is the command ``segstudy run``.

PyTorch and the chart libraries are imported by the functions that need them, as it takes seconds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segstudy.api.data import Classes, Foreground
from segstudy.api.study import Study
from segstudy.core.arguments import checked_call
from segstudy.core.paths import expanded
from segstudy.core.progress import Stage, silent
from segstudy.data.datasets import read
from segstudy.deploy.export import FormatName
from segstudy.study.options import excluded, meaning_of

if TYPE_CHECKING:
    from segstudy.analysis.compare import Comparison
    from segstudy.analysis.compare_sets import SetsComparison
    from segstudy.deploy.export.parity import Exported
    from segstudy.mask_errors.audit import Audit


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

        refuse_place(Path(out), GENERATOR, "--out")
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
def report(folder: str | Path, images: bool = True, *, stage: Stage = silent) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/`` of a study; returns the page.

    Args:
        folder: the study's folder.
        images: whether pictures of the data may be in it.
        stage: called with what is being done.
    """
    from segstudy.deploy.predict.best_run import convert_best
    from segstudy.reporting.page import write_report

    opened = Study(folder).folder
    stage("writing the report", 0, 0)
    page = write_report(opened, images)
    convert_best(opened, stage)
    return page


@checked_call
def score(  # noqa: PLR0913 (an option each)
    data: str | Path,
    masks: str | Path,
    study: str | Path,
    name: str | None = None,
    *,
    deterministic: bool = False,
    rule: str | None = None,
    classes: Classes = None,
    ignore: Foreground = None,
) -> list[dict[str, Any]]:
    """Score masks that any other tool made, and store them in the study as ``external/<name>/``.

    Args:
        data: the study's data set.
        masks: a folder with one mask per image, named by its id; or one such folder per model, or per seed.
        study: the study's folder.
        name: of the model, where there is one only.
        deterministic: the tool gives the same masks every time: there is no training noise to measure.
        rule: what the values of these masks mean, such as ``cut=0.5``; found from all of them if left out.
        classes: the study's classes with their values in these masks, as of ``run``; those of the study's own
            masks, or the numbers of the classes, if left out.
        ignore: mask values where the tool says nothing: only pixels that the study ignores may have them.

    Returns:
        One record per model.

    Raises:
        UserError: other data than the study's, or masks that do not fit.
    """
    from segstudy.evaluation.external_masks import score_masks

    asked = meaning_of(rule, None, classes, ignore)
    return score_masks(data, Path(masks), Study(study).folder, name, deterministic, asked)


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
    classes: Classes = None,
    ignore: Foreground = None,
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
        classes: the model's classes with their mask values in this data set, as of ``run``; those of the
            training if left out.
        ignore: mask values of pixels that count nowhere; by default those of the training if
            there are several classes.
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
    meaning = meaning_of(masks, foreground, classes, ignore)
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
