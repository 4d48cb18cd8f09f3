"""A model card as Markdown. Text from data, files or users is escaped, never markup."""

import re
from collections.abc import Mapping
from typing import Any

from segstudy.core.errors import one_line, printable
from segstudy.core.outputs import BINARY, Outputs
from segstudy.core.score_words import absent_convention, decision, over_classes
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
        *_decision(card),
        "",
    ]


def _decision(card: Mapping[str, Any]) -> list[str]:
    """Return how masks are decided, and what they hold if that is not one foreground."""
    outputs, tuned = _outputs(card), card["selection"]["tuned_threshold"]
    lines = [f"| decision | {decision(outputs)} |"]
    if outputs.task == "binary":
        lines = [f"| threshold | 0.5{'' if tuned is None else f'; {tuned:g} was best on validation'} |"]
    else:
        lines = [f"| classes | {plain(card['classes']['values'])} |", *lines]
    if outputs.has_ignored:
        lines.append(f"| ignored mask values | {plain(', '.join(map(str, card['classes']['ignore'])))} |")
    return lines


def _outputs(card: Mapping[str, Any]) -> Outputs:
    classes = card.get("classes")
    if classes is None:
        return BINARY
    return Outputs(classes["task"], tuple(classes["names"]), classes["ignore"] is not None)


def _scores(card: Mapping[str, Any]) -> list[str]:
    validation, test = card["scores"]["validation"], card["scores"]["test"]
    without = all(each["low"] is None for each in test.values())
    what = "mean over images" if without else "mean and 95 % interval over images"
    outputs = _outputs(card)
    how = (
        "threshold 0.5" if outputs.task == "binary" else f"{decision(outputs)}, scores{over_classes(outputs)}"
    )
    convention = absent_convention(outputs)
    return [
        "## Scores",
        "",
        f"Per image at its own size, {how}, {what}.{f' {convention}' if convention else ''}",
        "",
        "| | validation | test |",
        "|---|--:|--:|",
        *(
            f"| {_title(metric, card['protocol'])} | {_score(validation.get(name))} | {_score(test[name])} |"
            for name, metric in SCORES.items()
            if name in test
        ),
        "",
        *_classes(card),
    ]


def _classes(card: Mapping[str, Any]) -> list[str]:
    """Return a table of the classes' scores on the test subset."""
    classes = card.get("classes") or {"names": [], "scores": {}}
    found = classes["scores"].get("test", {})
    test = {name: found[name] for name in classes["names"] if name in found}
    shown = {name: metric for name, metric in SCORES.items() if any(name in each for each in test.values())}
    if not shown:
        return []
    return [
        "Test scores of each class, mean over the images that have it in the mask or the prediction:",
        "",
        f"| | {' | '.join(_title(metric, card['protocol']) for metric in shown.values())} |",
        f"|---|{'--:|' * len(shown)}",
        *(
            f"| {plain(name)} | {' | '.join(_score(_mean(scores.get(column))) for column in shown)} |"
            for name, scores in test.items()
        ),
        "",
    ]


def _mean(value: float | None) -> dict[str, float | None]:
    return {"mean": value, "low": None, "high": None}


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
