"""docs/choices.md says of each table what its records say, in their order."""

import re

import pytest
from places import ROOT

from segstudy.data.datasets import READERS
from segstudy.deploy.engines import ENGINES
from segstudy.deploy.export import FORMATS
from segstudy.reporting.sections import SECTIONS
from segstudy.study.trackers import TRACKERS
from segstudy.training.executors import EXECUTORS

TABLES = {
    "Readers": list(READERS.values()),
    "Executors": list(EXECUTORS.values()),
    "Trackers": list(TRACKERS.values()),
    "Engines": list(ENGINES.values()),
    "Export formats": list(FORMATS.values()),
    "Sections of the report": list(SECTIONS),
}
PAGE = (ROOT / "docs" / "choices.md").read_text(encoding="utf-8")


def row(record) -> str:
    return f"| `{record.name}` | {record.description.replace('|', chr(92) + '|')} |"


def rows_under(heading: str) -> list[str]:
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/choices.md has no heading {heading}"
    return [line for line in section[1].splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_lists_what_the_table_holds(heading):
    assert rows_under(heading) == [row(record) for record in TABLES[heading]]


@pytest.mark.parametrize("heading", TABLES)
def test_names_are_unique_and_descriptions_are_one_line(heading):
    names = [record.name for record in TABLES[heading]]
    assert len(set(names)) == len(names)
    for record in TABLES[heading]:
        assert record.description
        assert "\n" not in record.description
