"""A model card as Markdown. Text from data, files or users is escaped, never markup."""

import re
from collections.abc import Mapping
from typing import Any

from segstudy.core.errors import one_line, printable
from segstudy.deploy.export.model_card import FEWEST, SCORES
from segstudy.metrics import HEADLINE, METRICS, Metric

# What Markdown or HTML would act on; an underscore within a word is none of it.
MARKUP = re.compile(r"[\\`*\[\]{}<>&|#~$!]|(?<!\w)_|_(?!\w)")
HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
LIST_START = re.compile(r"^(\d+)?([-+.)=])(?=\s|$)")
HARMLESS = re.compile(r"[\w.:+=-]+")


def as_markdown(card: Mapping[str, Any]) -> str:
    """Return the card as a page."""
    return "\n".join(
        [
            f"# {plain(card['name'])}",
            "",
            *_about(card),
            *_data(card["data"]),
            *_training(card),
            *_scores(card),
            *_subgroups(card["subgroups"]),
            *_environment(card),
        ]
    )


def plain(text: object) -> str:
    r"""Return text escaped for Markdown: on one line, without markup and HTML.

    >>> plain("<img src=x> | *b*")
    '&lt;img src=x&gt; \\| \\*b\\*'
    """
    line = one_line(printable(one_line(text)))
    line = MARKUP.sub(lambda found: HTML.get(found[0], f"\\{found[0]}"), line)
    return LIST_START.sub(r"\1\\\2", line)


def _code(text: object) -> str:
    return f"`{text}`" if HARMLESS.fullmatch(str(text)) else plain(text)


def _about(card: Mapping[str, Any]) -> list[str]:
    number = card["num_parameters"]
    size = "" if number is None else f" ({number:,} parameters)"
    seed = "" if card["seed"] is None else f", seed {card['seed']}"
    fold = "" if card["fold"] is None else f", fold {card['fold']}"
    return [
        f"A segmentation model: {plain(card['architecture'])}{size}, trained with "
        f"the {plain(card['loss'])} loss by segstudy. Run {_code(card['key'])}{seed}{fold}.",
        "",
        "## Intended use and limits",
        "",
        card["intended_use"],
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
    ]


def _data(data: Mapping[str, Any]) -> list[str]:
    sizes = [str(data[f"num_{part}"]) for part in ("train", "validation", "test") if f"num_{part}" in data]
    known = f"{plain(data['name'])}, {data['num_images']} images" if data["name"] else "name not known"
    terms = plain(data["terms"]) if data["terms"] else "not known; ask the publisher"
    return [
        "## Data",
        "",
        f"- {known}; fingerprint {_code(data['fingerprint'])}",
        *([f"- trained, selected and tested on {' / '.join(sizes)} of them"] if sizes else []),
        f"- terms of the data: {terms}",
        *([f"- cite: {plain(data['citation'])}"] if data["citation"] else []),
        "",
    ]


def _training(card: Mapping[str, Any]) -> list[str]:
    chosen = card["selection"]
    by = "" if chosen["by"] is None else f", selected by {plain(chosen['by'])}"
    shown = {name: value for name, value in card["protocol"].items() if value is not None}
    return [
        "## Training",
        "",
        "| | |",
        "|---|---|",
        *(f"| {plain(name.replace('_', ' '))} | {_value(value)} |" for name, value in shown.items()),
        f"| epoch | {chosen['epoch']}{by} |",
        f"| threshold | 0.5; {chosen['tuned_threshold']:g} was best on validation |",
        "",
    ]


def _scores(card: Mapping[str, Any]) -> list[str]:
    validation, test = card["scores"]["validation"], card["scores"]["test"]
    without = all(each["low"] is None for each in test.values())
    what = "mean over images" if without else "mean and 95 % interval over images"
    return [
        "## Scores",
        "",
        f"Per image at its own size, threshold 0.5, {what}.",
        "",
        "| | validation | test |",
        "|---|--:|--:|",
        *(
            f"| {_title(metric, card['protocol'])} | {_score(validation.get(name))} | {_score(test[name])} |"
            for name, metric in SCORES.items()
            if name in test
        ),
        "",
    ]


def _title(metric: Metric, protocol: Mapping[str, Any]) -> str:
    return f"{metric.title} in pixels" if metric.unit == "px" else metric.listed_title(protocol)


def _subgroups(subgroups: list[dict[str, Any]]) -> list[str]:
    if not subgroups:
        return []
    title = METRICS[HEADLINE].title
    return [
        f"Test {title} of subgroups (under {FEWEST} images without an interval):",
        "",
        f"| | images | {title} |",
        "|---|--:|--:|",
        *(
            f"| {plain(each['kind'])}: {plain(each['name'])} | {each['num_images']} "
            f"| {_score(each[HEADLINE])} |"
            for each in subgroups
        ),
        "",
    ]


def _environment(card: Mapping[str, Any]) -> list[str]:
    shown = {name: value for name, value in card["environment"].items() if value is not None}
    if not shown and card["started"] is None:
        return []
    lines = ["## Environment", ""]
    lines += [] if card["started"] is None else [f"Trained {plain(card['started'][:10])}.", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {plain(name.replace('_', ' '))} | {_value(value)} |" for name, value in shown.items()]
    return [*lines, ""]


def _score(found: Mapping[str, float | None] | None) -> str:
    if found is None or found["mean"] is None:
        return ""
    digits = 1 if found["mean"] > 2 else 3
    interval = "" if found["low"] is None else f" [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
    return f"{found['mean']:.{digits}f}{interval}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return " x ".join(plain(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(name)} {plain(each)}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else plain(value)
