"""Docs, help and citations say of architectures and losses what their tables say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from segstudy.core.table_keys import keys_of
from segstudy.losses import FAMILIES, LOSSES, Loss, bce
from segstudy.metrics import METRICS
from segstudy.models import MODELS, Model
from segstudy.models.unet import UNet
from segstudy.reporting.sections.heat_map import _in_order
from segstudy.reporting.sections.methods import bibtex

ORIGINAL = (Path(__file__).parents[2] / "docs" / "original.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under this heading line."""
    text = ORIGINAL.split(heading, 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_the_architectures_of_the_original_are_described_as_in_the_table() -> None:
    ours = [[f"`{name}`", each.title, each.carried] for name, each in MODELS.items()]
    found = [row[:3] for row in rows("| name | architecture |")]
    assert len(found) == 4
    assert found == [row for row in ours if row in found]


def test_the_losses_of_the_original_are_described_as_in_the_table() -> None:
    ours = [[f"`{name}`", each.title, each.family] for name, each in LOSSES.items()]
    found = rows("| name | loss | family |")
    assert len(found) == 5
    assert found == [row for row in ours if row in found]


def test_every_loss_is_of_a_family_that_has_a_name() -> None:
    assert {loss.family for loss in LOSSES.values()} <= FAMILIES.keys()


def test_every_citation_has_its_entry() -> None:
    records = [*MODELS.values(), *LOSSES.values()]
    keys = [key for each in records for key in each.citations]
    keys += [each.citation for each in METRICS.values() if each.citation]
    assert len(re.findall(r"^@\w+\{", bibtex(list(dict.fromkeys(keys))), re.M)) == len(set(keys))


@pytest.mark.parametrize(
    ("module", "table", "ours"), [("models", "MODELS", MODELS), ("losses", "LOSSES", LOSSES)]
)
def test_the_names_in_the_help_are_those_of_the_table(module, table, ours) -> None:
    assert keys_of(f"segstudy.{module}", table) == list(ours)


def test_the_help_lists_every_architecture_and_loss_without_pytorch() -> None:
    code = "import sys, segstudy.cli.study_flags as s; "
    code += "print(s._ARCHITECTURES, s._LOSSES, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = "file.py:Name, package.module:Name, the name of a plug-in"
    said = f"{', '.join(MODELS)}, {others} {', '.join(LOSSES)}, {others} False"
    assert done.stdout.strip() == said


def test_a_module_that_is_not_installed_has_no_names() -> None:
    assert keys_of("segstudy.no_such_module", "TABLE") == []


def test_heat_maps_follow_the_tables_and_others_come_after_by_alphabet(monkeypatch) -> None:
    monkeypatch.setitem(MODELS, "aaa", Model(UNet))
    monkeypatch.setitem(LOSSES, "aaa_loss", Loss(bce, "region"))
    assert _in_order(["my.py:Net", "aaa", "unet", "segnet"]) == ["segnet", "unet", "aaa", "my.py:Net"]
    assert _in_order(["aaa_loss", "bce", "combo"]) == ["bce", "combo", "aaa_loss"]
