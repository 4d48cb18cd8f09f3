"""Texts without anything about the machine, for pages that are shared."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from segstudy.config.study_file import read_toml
from segstudy.core.sums import title
from segstudy.core.synthetic import is_synthetic
from segstudy.store.folder import StudyFolder

FACTORS = ("architecture", "loss")


def publishable_texts(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts of a finding or failure with paths cut to their last name."""
    folders = r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|]+[/\\])+"
    return {
        name: re.sub(folders, "", value) if isinstance(value, str) else value for name, value in texts.items()
    }


def publishable_study(folder: StudyFolder) -> str:
    """Return study.toml without the paths to data, split and users' own files."""
    raw = read_toml(folder.path / "study.toml")
    if not is_synthetic(raw["data"]):
        raw["data"] = Path(raw["data"]).name
    if "split_file" in raw:
        raw["split_file"] = Path(raw["split_file"]).name
    for grid in raw["grid"]:
        for factor in FACTORS:
            grid[factor] = [title(level) for level in grid[factor]]
    return tomlkit.dumps(raw)
