"""The numbers in the text of a README that neither its blocks nor its study's plan hold."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from readme import BLOCK

from segstudy.store.folder import StudyFolder

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+)(?:[eE][-+]?\d+)?(?![\w])")
# Names of configurations, code, targets of links, and headings of lists are no statements.
NO_TEXT = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|^\d+\. |<!--.*?-->|\b\w+(?:[-:=]\w+)+\b", re.M | re.S)


def unknown_numbers(folder: Path) -> list[str]:
    """Return every number of README.md that no table holds, with its line.

    A number may stand in the text of any block of the README, in a table's row whose name the same paragraph
    has, or be one of the study's plan: seeds, epochs, sizes of subsets and so on. A number with fewer digits
    is that of the table if it is its rounding; the sign of a difference may be left out.
    """
    readme = (folder / "README.md").read_text(encoding="utf-8")
    blocks = "\n".join(match[3] for match in BLOCK.finditer(readme))
    rows = [line for line in blocks.splitlines() if line.startswith("|")]
    text = "\n".join(line for line in blocks.splitlines() if not line.startswith("|"))
    known = {*_numbers(text), *_of_plan(folder)}
    found = []
    for paragraph in BLOCK.sub("", readme).split("\n\n"):
        here = known | {number for row in _named(rows, paragraph) for number in _numbers(row)}
        for line in NO_TEXT.sub(" ", paragraph).splitlines():
            found += [f"{n}: {line.strip()}" for n in NUMBER.findall(line) if not _is_in(here, n)]
    return found


def _named(rows: Iterable[str], paragraph: str) -> Iterator[str]:
    """Yield the rows of tables with a name that a paragraph has."""
    said = _plain(paragraph)
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        name = next((cell for cell in cells if re.match(r"[A-Za-z]", cell)), "")
        parts = name.split(" less ") if " less " in name else [name]
        if len(cells) > 1 and cells[0] in ("architecture", "loss", "architecture and batch size"):
            parts = cells[1].split(", ")
        if name and all(_plain(part) in said for part in parts):
            yield row


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _numbers(text: str) -> set[Decimal]:
    return {_value(found) for found in NUMBER.findall(text)}


def _value(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _is_in(known: set[Decimal], text: str) -> bool:
    value = _value(text)
    signs = (value,) if text[0] in "+-" else (value, -value)
    digits = -int(value.as_tuple().exponent) if "." in text else 0
    if digits <= 0:
        return any(sign in known for sign in signs)
    unit = Decimal(1).scaleb(-digits)
    return any(abs(each - sign) <= unit / 2 for each in known for sign in signs)


def _of_plan(folder: Path) -> set[Decimal]:
    """Return the numbers of study.toml, and of what follows from it and the split."""
    opened = StudyFolder(folder)
    study = opened.study()
    plan = (folder / "study.toml").read_text(encoding="utf-8")
    counts = {0, 1, len(study.configurations()), study.seeds, study.folds or 1, study.repeats}
    counts |= {study.seeds * (study.folds or 1) * study.repeats * len(study.configurations())}
    counts |= {(study.folds or 1) * study.repeats, study.protocol.split_seed + study.repeats - 1}
    for parts in opened.splits():
        sizes = [len(parts.train), len(parts.validation), len(parts.test)]
        counts |= {*sizes, sum(sizes)}
    counts |= {len({*parts.train, *parts.validation, *parts.test}) for parts in opened.splits()}
    return {*map(Decimal, counts), *_numbers(plan)}
