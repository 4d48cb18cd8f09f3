"""What a page may say: nothing of the machine that it was written on."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from segstudy.config.study import is_synthetic
from segstudy.core.registry import title
from segstudy.store.folder import StudyFolder

FACTORS = ("architecture", "loss")


def publishable_texts(texts: Mapping[str, Any]) -> dict[str, Any]:
    """A finding or a failure with paths cut to their last name: a shared page says nothing of its machine."""
    folders = r"(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|]+[/\\])+"
    return {
        name: re.sub(folders, "", value) if isinstance(value, str) else value for name, value in texts.items()
    }


def publishable_study(folder: StudyFolder) -> str:
    """study.toml without the paths to data, split and users' own files."""
    raw = tomllib.loads((folder.path / "study.toml").read_text(encoding="utf-8"))
    if not is_synthetic(raw["data"]):
        raw["data"] = Path(raw["data"]).name
    if "split_file" in raw:
        raw["split_file"] = Path(raw["split_file"]).name
    for grid in raw["grid"]:
        for factor in FACTORS:
            grid[factor] = [title(level) for level in grid[factor]]
    return tomlkit.dumps(raw)
