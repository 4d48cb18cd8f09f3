"""Templates of pages, and data for their scripts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from segstudy.core.score_words import decision, over_classes

HERE = Path(__file__).parent
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader([HERE / "templates", HERE / "sections"]),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
ENVIRONMENT.filters |= {"decision": decision, "over_classes": over_classes}


def as_script(data: Mapping[str, Any]) -> Markup:
    """Return JSON without ``<``, which could end the script."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704
