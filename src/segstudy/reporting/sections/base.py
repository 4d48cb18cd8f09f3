"""The interface of a section of the report, and the data that sections are made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from segstudy.analysis.results import Results
from segstudy.analysis.verdict import Answers
from segstudy.config.study import Study
from segstudy.store.folder import StudyFolder


@dataclass(frozen=True)
class ReportData:
    """Everything that a section may show.

    Attributes:
        folder: the study's; figures are written in it.
        study: as it was last run.
        results: its scores, image by image.
        leaderboard: a row for each configuration, see ``analysis.leaderboard``.
        epochs: a row for each epoch of each run.
        data: the data set, see ``described_data``.
        answers: the conclusions from the scores.
        images: whether pictures of the data may be shown.
    """

    folder: StudyFolder
    study: Study
    results: Results
    leaderboard: pl.DataFrame
    epochs: pl.DataFrame
    data: Mapping[str, Any]
    answers: Answers
    images: bool

    @property
    def figures(self) -> Path:
        """Return the folder for charts as files."""
        return self.folder.path / "figures"

    @cached_property
    def trained(self) -> list[dict[str, Any]]:
        """Return the rows of the leaderboard without masks of other tools."""
        return self.leaderboard.filter(~pl.col("masks")).to_dicts()

    @property
    def has_scores(self) -> bool:
        """Whether any run has finished."""
        return any(row["validation_iou"] is not None for row in self.trained)

    @property
    def ranked(self) -> list[str]:
        """Return the configurations of the leaderboard, those with all their runs before the others."""
        return [row["configuration"] for row in sorted(self.trained, key=lambda row: row["rank"] is None)]

    @property
    def categories(self) -> dict[str, str | None]:
        """The category of each sample."""
        return {sample["id"]: sample["category"] for sample in self.data["samples"]}


Values = Callable[[ReportData], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report.

    Attributes:
        name: of its module and of its template ``NAME.html.j2``, both in this folder.
        id: of its heading on the page, for links.
        title: its heading, which the contents list too; a section without one is not in the contents.
        description: what it shows, in one line for the documentation.
        values: what the template reads, beside ``study``; None leaves the section out of this report.
            ``script_data`` among them goes to the scripts instead, as ``scriptData``: names must differ.
        script: a script in this folder that the page runs where the section is shown.
        chart_script: the same for a script that draws charts: it can call ``show`` of ``charts.js``.
    """

    name: str
    id: str
    title: str
    description: str
    values: Values
    script: str = ""
    chart_script: str = ""

    @property
    def template(self) -> str:
        return f"{self.name}.html.j2"
