"""Samples that show the same photograph: which of them a split parts, and which to leave out."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from segstudy.core.atomic_files import write_text
from segstudy.core.errors import UserError, printable
from segstudy.data.samples import PARTS, Dataset, Problem, Sample
from segstudy.data.split import Split

EXACT, NEAR = "duplicate images", "near-duplicate images"
NAMED = 5  # sets that a message names of many
HEADING = "# Written by segstudy check --write-exclude"

Cluster = tuple[str, ...]


def is_duplicate(problem: Problem) -> bool:
    """Whether a finding is of samples that show the same: whether it does harm is up to the split."""
    return problem.kind in (EXACT, NEAR)


def clusters(problems: Iterable[Problem]) -> list[Cluster]:
    """Sets of sample ids that show the same, by the findings of ``check``; no two sets share an id."""
    members: dict[str, list[str]] = {}
    for problem in filter(is_duplicate, problems):
        joined = [sample_id for known in problem.samples for sample_id in members.get(known, [known])]
        joined = sorted(set(joined))
        members.update(dict.fromkeys(joined, joined))
    return sorted({tuple(cluster) for cluster in members.values()})


def leaks(problems: Iterable[Problem], splits: Iterable[Split]) -> list[str]:
    """Sets of samples that show the same and lie in different parts of a split, each in words."""
    found = clusters(problems)
    where: dict[Cluster, str] = {}
    for split in splits if found else ():
        part_of = {sample_id: part for part in PARTS for sample_id in split.part(part)}
        for cluster in found:
            used = [sample_id for sample_id in cluster if sample_id in part_of]
            if len({part_of[sample_id] for sample_id in used}) > 1:
                where.setdefault(cluster, " = ".join(f"{each} ({part_of[each]})" for each in used))
    return [where[cluster] for cluster in found if cluster in where]


def refuse_leaks(found: Sequence[str], check: str) -> None:
    """Stop before something is trained on what it is tested on.

    Args:
        found: as ``leaks`` returns it.
        check: the command that checks the data.

    Raises:
        UserError: with the samples and what can be done.
    """
    if not found:
        return
    shown = "; ".join(map(printable, found[:NAMED]))
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    sets, verb = ("set", "lies") if len(found) == 1 else ("sets", "lie")
    raise UserError(
        f"{len(found)} {sets} of near-duplicate images {verb} in different subsets, so that a model would be "
        f"tested on what it was trained or selected on: {shown}{more}; `{check} --write-exclude "
        "FILE` writes the file for --exclude FILE, equal groups in metadata.csv keep images together, and "
        "--accept-duplicates (in Python accept_duplicates=True) trains all the same"
    )


def to_exclude(samples: Sequence[Sample], problems: Iterable[Problem]) -> dict[Cluster, list[str]]:
    """For every set of samples that show the same, which of them to leave out, so that no split parts it.

    Test is kept, and of training and validation what is closer to it: of a set in several official parts the
    samples of the last one. Official test samples stay, all of them. Of a set within one part, or without
    parts, the first sample stays, and what is of one group with it.
    """
    by_id = {sample.id: sample for sample in samples}
    left_out: dict[Cluster, list[str]] = {}
    for cluster in clusters(problems):
        members = [by_id[sample_id] for sample_id in cluster]
        last = max(map(_rank, members))
        first = next(sample for sample in members if _rank(sample) == last)
        left_out[cluster] = [
            sample.id
            for sample in members
            if not (_rank(sample) == last and (sample.part == "test" or sample.group == first.group))
        ]
    return left_out


def _rank(sample: Sample) -> int:
    """How far an official part is from training; below all of them what is in none."""
    return PARTS.index(sample.part) if sample.part else -1


def write_exclude(file: Path, dataset: Dataset, problems: Iterable[Problem]) -> list[str]:
    """Write the ids to leave out, one a line, with the reasons as comments; returns the ids.

    Raises:
        UserError: a file that is there and was not written by this function, or an id that no line can hold.
    """
    _refuse_foreign(file)
    sets = to_exclude(dataset.samples, problems)
    ids = sorted(sample_id for left_out in sets.values() for sample_id in left_out)
    lines = [
        f"{HEADING}: {len(ids)} of {len(dataset.samples)} samples of {printable(dataset.name)}",
        "# that show the same as another one. One id a line; lines that begin with # are comments.",
    ]
    for cluster, left_out in sets.items():
        kept = [sample_id for sample_id in cluster if sample_id not in left_out]
        lines.append(
            f"# {'the same as' if left_out else 'kept, though they show the same:'} {', '.join(kept)}"
        )
        lines += [as_line(sample_id) for sample_id in left_out]
    text = "\n".join(lines) + "\n"
    if sorted(ids_in(text)) != ids or any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError(
            f"{file}: an id begins or ends with a blank, holds a line break or is not in UTF-8; rename its "
            "image and mask"
        )
    write_text(file, text)
    return ids


def _refuse_foreign(file: Path) -> None:
    if not file.exists():
        return
    try:
        with file.open(encoding="utf-8") as stream:
            is_ours = stream.read(len(HEADING)) == HEADING
    except (OSError, UnicodeDecodeError):
        is_ours = False
    if not is_ours:
        raise UserError(f"{file}: is there already, and not written by check; give another name")


def as_line(sample_id: str) -> str:
    """An id as a line of an exclude file; one that begins with # or a backslash gets a backslash before."""
    return f"\\{sample_id}" if sample_id.startswith(("#", "\\")) else sample_id


def ids_in(text: str) -> list[str]:
    r"""The ids of an exclude file: one a line, comments and empty lines left out.

    >>> ids_in("# seen before\nIMD002\n\n\\#1")
    ['IMD002', '#1']
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    return [line.removeprefix("\\") for line in lines if line and not line.startswith("#")]
