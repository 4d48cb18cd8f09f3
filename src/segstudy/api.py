"""One function per command, with the same names; ``segstudy.run(...)`` is the command ``segstudy run``.

What needs PyTorch or draws charts is imported by the function that needs it: a look at a study takes no
seconds of importing.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import polars as pl
from rich.console import Console

from segstudy import config, studyfile
from segstudy.data import read, synthetic
from segstudy.data.check import check as find_problems
from segstudy.data.samples import Problem
from segstudy.display import Display
from segstudy.integrity import Verification, quarantined, verify_folder
from segstudy.locks import holder, is_held
from segstudy.receipt import settled
from segstudy.reporting.leaderboard import leaderboard, render
from segstudy.request import Options, StudyOptions, described, excluded
from segstudy.stages import Stage, silent
from segstudy.store import StudyFolder

if TYPE_CHECKING:
    from segstudy.estimate import Estimate
    from segstudy.exporting import Format
    from segstudy.parity import Exported
    from segstudy.reporting.comparing import Comparison
    from segstudy.study import Machine, Plan


@dataclass(frozen=True, slots=True)
class Study:
    """A study's folder, opened: what ``segstudy.run`` returns.

    >>> segstudy.Study("PH2Dataset-classic").leaderboard()  # doctest: +SKIP
    """

    folder: StudyFolder

    def __init__(self, path: str | Path):
        object.__setattr__(self, "folder", StudyFolder(Path(path)))
        self.folder.study()  # or say that there is none

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def config(self) -> config.Study:
        """The study as it was last run."""
        return self.folder.study()

    def leaderboard(self, show_all: bool = False) -> pl.DataFrame:
        """One row per configuration, best validation IoU first.

        Args:
            show_all: also runs that the study no longer names.
        """
        return leaderboard(self.folder, show_all)

    def runs(self) -> pl.DataFrame:
        """One row per finished run: key, configuration, seed, fold and mean scores."""
        return pl.DataFrame(
            [
                {
                    "key": record["key"],
                    "configuration": record["name"],
                    "seed": record["seed"],
                    "fold": record["fold"],
                }
                | {
                    f"{part}_{name}": value
                    for part, values in record["summary"]["scores"].items()
                    for name, value in values.items()
                }
                for record in self.folder.run_records(sorted(self.folder.finished()))
            ]
        )

    def epochs(self) -> pl.DataFrame:
        """One row per run and epoch: learning curves."""
        return self.folder.epochs(sorted(self.folder.finished()))

    def images(self) -> pl.DataFrame:
        """One row per run, part and image: every metric at network and native size."""
        return self.folder.images(sorted(self.folder.finished()))


@dataclass(frozen=True, slots=True)
class Status:
    """How far a study is.

    Attributes:
        num_planned: runs that study.toml names.
        num_finished: of them.
        num_failed: of them, by the last attempt.
        num_left: of them, failed ones included.
        num_begun: of those left, begun and saved: the next ``run`` goes on with them.
        num_unnamed: finished runs that study.toml does not name.
        holder: who is training this study now, in words; None for nobody.
        failures: what happened, what helps.
        seconds_to_go: of training, from the mean of the finished runs.
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


def run(
    study: str | Path | None = None,
    *,
    retry: bool = False,
    images: bool = True,
    confirm: Callable[["Estimate"], bool] = lambda _: True,
    display: Display | None = None,
    **options: Unpack[Options],
) -> Study:
    """Train every run of a study that is not stored yet, then write the report.

    Args:
        study: a study file, a data set's folder or a study's folder; None for the embedded set and the
            quick protocol.
        retry: also runs that diverged before.
        images: whether the report may show pictures of the data.
        confirm: asked when more than two hours are ahead; False stops before anything is written.
        display: told of progress.
        options: see ``Options``.

    Raises:
        UserError: a wrong call, study file or data set, or another process at work on this study; nothing is
            written then. A disk that is full or cannot be written.
        Stopped: a signal asked to stop; what was trained is saved, and the same call goes on from there.
    """
    asked, folder = described(study, options)
    display = display or Display(Console(file=io.StringIO()))
    overview = settled(asked, folder) if _leaves_all_to_the_machine(options) else None
    if overview is not None and not is_held(folder.lock):
        display.plan(overview, 0)
        return Study(folder.path)
    from segstudy.running import train_missing

    train_missing(asked, folder, options, retry=retry, images=images, confirm=confirm, display=display)
    return Study(folder.path)


def _leaves_all_to_the_machine(options: Mapping[str, Any]) -> bool:
    """Whether nothing about the machine is asked for that planning would look into."""
    by_number = all(int(options.get(name) or 0) >= 0 for name in ("threads", "workers"))
    by_name = options.get("executor") is None and options.get("device") in (None, "auto")
    every = options.get("checkpoint_every")
    return by_number and by_name and (every is None or int(every) >= 1)


def plan(
    study: str | Path | None = None, *, stage: Stage = silent, **options: Unpack[Options]
) -> "tuple[Plan, list[config.Run], Estimate, Machine]":
    """What ``run`` would do; writes nothing. Returns the plan, the runs left, their cost and the machine.

    Args:
        study: as for ``run``.
        stage: told what is being done, and how much of it is done.
        options: see ``Options``.

    Raises:
        UserError: a wrong call, study file or data set.
    """
    from segstudy.estimate import estimate
    from segstudy.running import planned

    asked, folder = described(study, options)
    made, machine, missing = planned(asked, folder, options, stage=stage)
    ahead = estimate(made, missing, machine, fit_memory=not options.get("workers"), stage=stage)
    return made, missing, ahead, replace(machine, workers=ahead.workers)


def init(study: str | Path | None = None, **options: Unpack[StudyOptions]) -> str:
    """A study file to start from, as text."""
    asked, _ = described(study, options)
    return studyfile.dump(asked, Path.cwd(), comments=True)


def check(
    data: str | Path,
    reader: str | None = None,
    foreground: Sequence[int] | None = None,
    stage: Stage = silent,
) -> list[Problem]:
    """Every problem of a data set, the worst first.

    Args:
        data: the data set's folder, or ``synthetic``.
        reader: how to read it, if that is not plain from the folder.
        foreground: values of a multi-class mask that count as foreground.
        stage: told what is being done, and how much of it is done.

    Raises:
        UserError: when there is nothing to read.
    """
    stage("finding the images and masks", 0, 0)
    dataset = read(data, reader)
    total = len(dataset.samples)
    found = find_problems(
        dataset,
        tuple(foreground) if foreground else None,
        lambda done: stage("checking the data", done, total),
    )
    order = ("error", "warning", "note")
    return sorted(found, key=lambda problem: (order.index(problem.severity), problem.kind, problem.where))


def status(folder: str | Path) -> Status:
    """What of a study is done, failed and left, from its folder alone."""
    opened = Study(folder)
    frame = opened.leaderboard().filter(~pl.col("masks"))
    finished = opened.folder.finished()
    failed = opened.folder.failed()
    num_planned = int(frame["num_planned"].sum())
    num_finished = int(frame["num_finished"].sum())
    left = num_planned - num_finished
    seconds = [record["seconds"]["total"] for record in opened.folder.run_records(finished)]
    return Status(
        num_planned=num_planned,
        num_finished=num_finished,
        num_failed=len(failed),
        num_left=left,
        num_begun=len(opened.folder.begun() - finished - failed.keys()),
        num_unnamed=len(finished) - num_finished,
        holder=holder(opened.folder.lock) if is_held(opened.folder.lock) else None,
        failures=tuple(failed.values()),
        seconds_to_go=left * sum(seconds) / len(seconds) if seconds else None,
    )


def table(folder: str | Path, format: str = "text", show_all: bool = False) -> str:  # noqa: A002
    """The leaderboard as text, Markdown, CSV, JSON or LaTeX."""
    return render(Study(folder).leaderboard(show_all), format)


def verify(folder: str | Path, repair: bool = False) -> Verification:
    """Check every file of a study against its checksums and keys.

    Args:
        folder: the study's folder.
        repair: move what is wrong to ``quarantine/<n>/``; nothing is ever deleted, and the next ``run``
            trains anew what is missing then.

    Raises:
        UserError: no study there, a run of a newer version, or, for a repair, somebody at work on it.
    """
    found = verify_folder(StudyFolder(Path(folder)))
    return quarantined(StudyFolder(Path(folder)), found) if repair and found.faults else found


def compare(*arguments: str) -> "Comparison":
    """Two configurations on the same test images: ``compare(DIR, A, B)`` or ``compare("DIR1:A", "DIR2:B")``.

    Raises:
        UserError: an unknown name, nothing finished, or other test images.
    """
    from segstudy.reporting.comparing import compare_configurations, sides

    return compare_configurations(*sides(arguments))


def report(folder: str | Path, images: bool = True) -> Path:
    """Write ``report.html``, ``leaderboard.csv`` and ``figures/`` of a study; returns the page.

    Args:
        folder: the study's folder.
        images: whether pictures of the data may be in it.
    """
    from segstudy.reporting.page import write_report

    return write_report(Study(folder).folder, images)


def score(
    data: str | Path, masks: str | Path, study: str | Path, name: str | None = None
) -> list[dict[str, Any]]:
    """Score masks that any other tool made, and store them in the study as ``external/<name>/``.

    Args:
        data: the study's data set.
        masks: a folder with one mask per image, named by its id; or one such folder per model, or per seed.
        study: the study's folder.
        name: of the model, where there is one only.

    Returns:
        One record per model.

    Raises:
        UserError: other data than the study's, or masks that do not fit.
    """
    from segstudy.scoring import score_masks

    return score_masks(data, Path(masks), Study(study).folder, name)


def evaluate(  # noqa: PLR0913 (an option each)
    model: str | Path,
    data: str | Path,
    study: str | Path | None = None,
    *,
    name: str | None = None,
    device: str = "auto",
    reader: str | None = None,
    foreground: Sequence[int] | None = None,
    exclude: str | Path | Sequence[str] = (),
) -> dict[str, Any]:
    """Test trained models on data they have never seen, and store the scores as ``external/<name>/``.

    Args:
        model: a run's folder, or a study's: then all trainings of its winner.
        data: the external test set; all of it is tested on.
        study: the study that takes the result, if not the model's own.
        name: of the result.
        device: where to predict.
        reader: how to read the data, if that is not plain from the folder.
        foreground: values of a multi-class mask that count as foreground.
        exclude: ids to leave out, or a file with one a line.

    Returns:
        The record, with the scores on the model's own test part beside.

    Raises:
        UserError: no model, wrong data, or images the model has seen.
    """
    from segstudy.external import evaluate_models, without
    from segstudy.opening import models_of
    from segstudy.study import choose_machine

    models = models_of(Path(model))
    folder = Study(study).folder if study is not None else models.home
    dataset = without(read(data, reader), excluded(exclude))
    values = tuple(foreground) if foreground else None
    return evaluate_models(models, dataset, folder, choose_machine(device).device, name, values)


def export(
    model: str | Path,
    to: "Format",
    *,
    int8: bool = False,
    out: str | Path | None = None,
    data: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> "Exported":
    """Write a trained model as a file that runs without PyTorch, if its masks stay the same.

    Args:
        model: a run's folder, or a study's: then the best run of its winner.
        to: ``onnx`` or ``openvino``.
        int8: arithmetic in 8 bits, calibrated on training images: quicker still, and close.
        out: the file; in the study's ``exports`` if left out.
        data: where the data set lies now, if not where the study says.
        progress: told what is being done.

    Raises:
        UserError: no model, no data, missing packages, or masks that differ by more than the tolerance.
    """
    from segstudy.opening import models_of
    from segstudy.parity import export_model

    best = models_of(Path(model)).best()
    return export_model(best, to, int8, Path(out) if out else None, Path(data) if data else None, progress)


def synth(folder: str | Path, n: int = 200, seed: int = 0) -> Path:
    """Write the synthetic set as ordinary files."""
    synthetic.write(Path(folder), n, seed)
    return Path(folder)
