"""looks.json: the planned looks of a sequential study and those that were taken. Fixed studies have none."""

import hashlib
from collections.abc import Iterable

from pydantic import Field

from segstudy.core.errors import UserError
from segstudy.core.version import __version__
from segstudy.store.folder import StudyFolder
from segstudy.store.preregistration import FILE as REGISTERED
from segstudy.store.preregistration import preregistration
from segstudy.store.records import Described, checked
from segstudy.store.sealed_records import read_sealed, write_sealed

FILE = "looks.json"
FORMAT = 1
REMEDY = (
    "restore it from a copy, or delete it: `segstudy run` writes it again from preregistration.json and "
    "the stored runs"
)
CONTINUE = "continue"


class LookPlan(Described):
    """The looks as they were planned before the first run.

    Attributes:
        seeds: of each configuration at each look.
        error_shares: of each look, of the 5 % in all.
        margin: of IoU: smaller differences are practically equal.
        score: what is compared at a look.
        configurations: names of all that the study compares.
        study_sha256: of the content of study.toml, as in preregistration.json.
    """

    seeds: list[int]
    error_shares: list[float]
    margin: float
    score: str
    configurations: list[str]
    study_sha256: str


class LookResult(Described):
    """A configuration against the best of the others at a look; see ``stats.best.AgainstBest``.

    Attributes:
        name: of the configuration.
        rival: the one that decides.
        difference: of the two means, on test.
        low, high: interval of its mean minus that of the best of the others.
        standard_error, df: of that difference.
        stopped: whether the rival beats it, so that it gets no more seeds.
    """

    name: str
    rival: str
    difference: float
    low: float
    high: float
    standard_error: float
    df: float
    stopped: bool


class StoredLook(Described):
    """A look; without results while the runs for it are trained.

    Attributes:
        seeds: of each compared configuration.
        error_share: of this look.
        begun: when the training for it began, in UTC.
        taken: when it was taken; None before.
        runs_sha256: of the sorted keys of the compared runs, one a line.
        results: of every compared configuration.
        left_out: configurations that were neither compared nor stopped, because runs of them failed.
        chance: that more seeds would decide anything that is open.
        conclusion: ``continue``, or why the study ends.
    """

    seeds: int
    error_share: float
    begun: str
    taken: str | None = None
    runs_sha256: str = ""
    results: list[LookResult] = Field([])
    left_out: list[str] = Field([])
    chance: float | None = None
    conclusion: str = ""


class Looks(Described):
    """The content of the file.

    Attributes:
        format: of the file.
        plan: never changed.
        looks: those that were taken, and at the end the one whose runs are trained, if there is one.
        seal: checksum of all of this.
    """

    format: int = FORMAT
    plan: LookPlan
    looks: list[StoredLook] = Field([])
    seal: str = ""

    @property
    def taken(self) -> list[StoredLook]:
        return [each for each in self.looks if each.taken is not None]

    @property
    def last(self) -> StoredLook | None:
        """The last look that was taken."""
        return self.taken[-1] if self.taken else None

    @property
    def is_ended(self) -> bool:
        return self.last is not None and self.last.conclusion != CONTINUE

    @property
    def is_between(self) -> bool:
        """Whether runs for the next look are trained, or none was taken yet."""
        return not self.looks or self.looks[-1].taken is None

    @property
    def stopped(self) -> dict[str, int]:
        """The look at which each stopped configuration was stopped, from 1, by name."""
        return {
            result.name: number
            for number, each in enumerate(self.looks, 1)
            for result in each.results
            if result.stopped
        }

    @property
    def left_out(self) -> dict[str, int]:
        """The look from which on each configuration is left out, because runs of it failed; by name."""
        found: dict[str, int] = {}
        for number, each in enumerate(self.looks, 1):
            found |= dict.fromkeys(each.left_out, number)
            for result in each.results:
                found.pop(result.name, None)
        return found

    @property
    def results(self) -> dict[str, LookResult]:
        """The last result of each configuration, by name."""
        return {result.name: result for each in self.looks for result in each.results}

    @property
    def p_factor(self) -> float:
        """By which a p value of the last look is multiplied to pay for all looks."""
        return sum(self.plan.error_shares) / self.last.error_share if self.last else 1.0

    def num_seeds(self, name: str) -> int:
        """Return the seeds that a configuration has, or gets for the next look; none more if left out."""
        number = self.stopped.get(name, self.left_out.get(name, len(self.looks)))
        return self.plan.seeds[max(1, number) - 1]


def looks_of(folder: StudyFolder, rebuild: bool = False) -> Looks | None:
    """Read the looks of a study; None for a fixed study.

    Args:
        folder: of the study.
        rebuild: begin again with the plan of preregistration.json if the file is missing.

    Raises:
        UserError: the file is damaged, altered, of a later version, or missing from a sequential study.
    """
    return read_sealed(folder.path / FILE, Looks, FORMAT, REMEDY) or _registered(folder, rebuild)


def _registered(folder: StudyFolder, rebuild: bool) -> Looks | None:
    """Return the planned looks of preregistration.json without any taken; None if it has none."""
    file = folder.path / REGISTERED
    if not file.is_file() or b'"looks"' not in file.read_bytes():
        return None
    registered = preregistration(folder)
    if registered is None or registered.looks is None:
        return None
    if not rebuild:
        raise UserError(
            f"{folder.path / FILE}: missing, so it is not known which configurations were stopped; "
            f"`segstudy run {folder.path}` writes it again from the stored runs"
        )
    return Looks(plan=checked(registered.looks, LookPlan, file))


def begin_looks(folder: StudyFolder, looks: Looks) -> None:
    """Make the study's folder and write the planned looks.

    Raises:
        UserError: when they cannot be written.
    """
    folder.create()
    write_looks(folder, looks)


def write_looks(folder: StudyFolder, looks: Looks) -> None:
    """Write the file, whole or not at all.

    Raises:
        DiskError: when it cannot be written.
    """
    record = {"segstudy": __version__, **looks.model_dump(mode="json", exclude={"seal"})}
    write_sealed(folder.path / FILE, record)


def hash_of_keys(keys: Iterable[str]) -> str:
    """Return the SHA-256 of sorted keys, one a line."""
    return hashlib.sha256("".join(f"{key}\n" for key in sorted(keys)).encode()).hexdigest()
