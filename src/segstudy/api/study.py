"""A study's folder with its results."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segstudy.config import study as config
from segstudy.core.arguments import checked_methods
from segstudy.store.folder import StudyFolder

if TYPE_CHECKING:  # `run` of a finished study does without
    import polars as pl


@checked_methods
@dataclass(frozen=True, slots=True)
class Study:
    """A study's folder with its results; ``segstudy.run`` returns one.

    >>> segstudy.Study("PH2Dataset-classic").leaderboard()  # doctest: +SKIP
    """

    folder: StudyFolder

    def __init__(self, path: str | Path):
        object.__setattr__(self, "folder", StudyFolder(Path(path)))
        self.folder.study()  # raises if there is none

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def config(self) -> config.Study:
        """Return the study as it was last run."""
        return self.folder.study()

    def leaderboard(self, show_all: bool = False) -> "pl.DataFrame":
        """Return one row per configuration, the best validation IoU first.

        Args:
            show_all: also runs that the study no longer names.
        """
        from segstudy.analysis.leaderboard import leaderboard  # with the statistics

        return leaderboard(self.folder, show_all)

    def runs(self) -> "pl.DataFrame":
        """Return one row per finished run: key, present configuration name, seed, fold, mean scores."""
        import polars as pl  # `run` of a finished study does without

        from segstudy.analysis.configurations import names_of_runs  # as above

        names = names_of_runs(self.folder)
        return pl.DataFrame(
            [
                {
                    "key": record.key,
                    "configuration": names[record.key],
                    "seed": record.seed,
                    "fold": record.fold,
                }
                | {
                    f"{part}_{name}": value
                    for part, values in record.summary.scores.items()
                    for name, value in values.items()
                }
                for record in self.folder.run_records(sorted(self.folder.finished()))
            ]
        )

    def epochs(self) -> "pl.DataFrame":
        """Return one row per run and epoch: learning curves."""
        return self.folder.epochs(sorted(self.folder.finished()))

    def images(self) -> "pl.DataFrame":
        """Return one row per run, subset and image: every metric at network and native size."""
        return self.folder.images(sorted(self.folder.finished()))

    def classes(self) -> "pl.DataFrame":
        """Return one row per run, subset, image and class: every metric at network and native size.

        A study with one foreground has no classes: its table is empty, and ``images`` has all of it.

        Columns beside the metrics: ``in_truth`` and ``in_prediction``, whether the masks have the class;
        ``predicted_px``, how many pixels of this true class were predicted as each class (null where classes
        overlap); and ``num_objects``, ``num_missed`` and ``num_invented``, of its connected areas.
        """
        return self.folder.classes(sorted(self.folder.finished()))
