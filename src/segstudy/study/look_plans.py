"""The plan of a sequential study's looks, which is fixed before the first run."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from segstudy.analysis.looks import look_at_others
from segstudy.analysis.seed_plan import SeedPlan
from segstudy.config.runs import Run, configuration_names
from segstudy.core.errors import UserError
from segstudy.stats.planned_looks import error_shares
from segstudy.store.folder import StudyFolder
from segstudy.store.looks import FILE, LookPlan, Looks, begin_looks, looks_of
from segstudy.store.preregistration import content_hash, content_of, preregistration
from segstudy.study.look_requests import ANOTHER, Request
from segstudy.study.plan import Plan

SCORE = "mean IoU per image at native size, on test"


def looks_for(plan: Plan, folder: StudyFolder, request: Request) -> Looks:
    """Return the stored looks of a study, or those of a new one before the first run.

    Raises:
        UserError: the study is not the one that the looks were planned for, its configurations cannot be
            compared with each other, or a look that was taken compared runs that are planned no more.
    """
    names = configuration_names(plan.configurations())
    made = LookPlan(
        seeds=list(request.seeds),
        error_shares=list(error_shares(request.seeds)),
        margin=plan.study.margin,
        score=SCORE,
        configurations=names,
        study_sha256=content_hash(content_of(plan.study, folder.path)),
    )
    stored = looks_of(folder, rebuild=True) if folder.exists() else None
    if stored is None:
        _refuse_incomparable(plan)
        return Looks(plan=made)
    if stored.plan.study_sha256 != made.study_sha256 or stored.plan.configurations != names:
        raise UserError(
            f"{folder.path}: its looks were planned for the study as it was before the first run, so its "
            f"configurations, protocol, data and margin cannot be changed; {ANOTHER}"
        )
    registered = preregistration(folder)
    if registered is not None and registered.looks != stored.plan.model_dump(mode="json"):
        raise UserError(
            f"{folder.path}: {FILE} and preregistration.json have different plans of looks; restore them "
            "from a copy"
        )
    _refuse_looks_at_others(plan, folder, stored)
    return stored


def _refuse_looks_at_others(plan: Plan, folder: StudyFolder, looks: Looks) -> None:
    """Refuse looks that will not follow from the planned runs, before these are trained.

    A new version of segstudy with another arithmetic plans runs with other keys.
    """
    if number := look_at_others(looks, plan.runs, plan.names()):
        path, seeds = shlex.quote(str(folder.path)), looks.plan.seeds
        own = shlex.quote(str(folder.path / "study.toml"))
        raise UserError(
            f"{folder.path}: look {number} compared other runs than those planned now, because the "
            "arithmetic of segstudy, code of your own or the data changed; keep the study as it is (segstudy "
            f"report {path} trains nothing), train it again elsewhere (segstudy run {own} --until-settled "
            f"--seeds {seeds[0]} --max-seeds {seeds[-1]} --out NEW), or delete its {FILE}: then segstudy run "
            f"{path} trains all its runs again and takes new looks"
        )


def _refuse_incomparable(plan: Plan) -> None:
    if len(plan.configurations()) < 2:
        raise UserError("--until-settled needs two configurations or more: one alone has nothing to settle")
    for field in ("split", "split_seed", "masks", "foreground"):
        values = {str(getattr(each.protocol, field)) for each in plan.configurations()}
        if len(values) > 1:
            raise UserError(
                f"{field} has {len(values)} values: --until-settled compares all configurations on the same "
                "test images and masks, so give it one value"
            )


def seed_plan_for(plan: Plan, folder: StudyFolder, request: Request | None) -> SeedPlan:
    """Return how the seeds of a study are planned; ``looks_for`` for a sequential one.

    Args:
        plan: with all runs.
        folder: of the study.
        request: what is asked of a sequential study; None if the seeds are fixed.
    """
    return SeedPlan(None if request is None else looks_for(plan, folder, request))


def begin(seed_plan: SeedPlan, folder: StudyFolder) -> None:
    """Write the planned looks of a sequential study, unless some are stored."""
    if seed_plan.looks is not None and looks_of(folder, rebuild=True) is None:
        begin_looks(folder, seed_plan.looks)


def needed(plan: Plan, missing: Sequence[Run], seed_plan: SeedPlan) -> tuple[Plan, list[Run]]:
    """Return a plan without the runs that no look needs: of stopped configurations, or after the end.

    Args:
        plan: with all runs until the last look.
        missing: runs of it that are not stored.
        seed_plan: of the study; if its seeds are fixed, all runs are needed.

    Returns:
        The plan, and those of the missing runs that are in it.
    """
    looks = seed_plan.looks
    if looks is None:
        return plan, list(missing)
    names = plan.names()
    most = looks.plan.seeds[-1]

    def limit(name: str) -> int:
        return looks.num_seeds(name) if looks.is_ended or name in looks.stopped else most

    runs = [run for run in plan.runs if run.seed < limit(names[run.key])]
    keys = {run.key for run in runs}
    return replace(plan, runs=tuple(runs)), [run for run in missing if run.key in keys]
