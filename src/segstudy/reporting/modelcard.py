"""The card of a trained model: data, training, scores with their uncertainty, limits. For people to read.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segstudy.reporting.subgroups import members_of
from segstudy.stats import Scores, by_group, score_interval
from segstudy.store import StudyFolder
from segstudy.trained import Models, run_name

FEWEST = 20  # images of a subgroup for an interval
SCORES = {
    "native_iou": "IoU",
    "native_iou_tuned": "IoU at the tuned threshold",
    "native_dice": "Dice",
    "native_hd95_px": "HD95 in pixels",
    "native_nsd": "normalised surface distance",
    "native_ece": "calibration error (ECE)",
    "native_brier": "Brier score",
}
INTENDED = (
    "Outlining objects of the kind it was trained on, in images made as those of its training data were; for "
    "research and for measuring, with a person looking at the result."
)
LIMITS = (
    "This is not a medical device and no diagnosis rests on it.",
    "The scores are of images from the same source as the training data; other cameras, sites and "
    "populations usually score lower. `segstudy evaluate` measures that.",
    "Probabilities are the network's own and may be over- or underconfident; see the calibration error.",
    "The interval of a single training leaves out how much another seed would differ.",
)
PROTOCOL = (
    "image_size",
    "resize",
    "width",
    "batch_size",
    "optimizer",
    "lr",
    "scheduler",
    "augmentation",
    "precision",
)


def model_card(models: Models, record: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is known of one trained model.

    Args:
        models: the study it lies in.
        record: its run's.

    Returns:
        ``name``, ``key``, ``architecture``, ``loss``, ``data``, ``protocol``, ``selection``, ``scores`` (of
        validation and test, each with a 95 % interval over images), ``subgroups`` (of the test part),
        ``environment``, and in words ``intended_use`` and ``limits``.
    """
    home = models.home
    data = home.read_json("data.json") or {"samples": []}
    groups = {sample["id"]: sample["group"] for sample in data["samples"]}
    categories = {sample["id"]: sample["category"] for sample in data["samples"]}
    images = home.images([record["key"]])
    scored: dict[str, dict[str, Any]] = {}
    for part in ("validation", "test"):
        table = images.filter(part=part).sort("id")
        owners = [groups.get(i, i) for i in table["id"]]
        scored[part] = {
            name: _interval(table[name].to_numpy()[None], owners) for name in SCORES if name in table.columns
        }
    return {
        "name": run_name(record),
        "key": record["key"],
        "architecture": record["architecture"],
        "loss": record["loss"],
        "num_parameters": record["num_parameters"],
        "data": {
            **{name: data.get(name) for name in ("name", "reader", "fingerprint", "terms", "citation")},
            "num_images": len(data["samples"]),
            **{f"num_{part}": len(ids) for part, ids in parts_of(home, record).items()},
        },
        "protocol": {**{name: record["protocol"][name] for name in PROTOCOL}, **_budget(record["protocol"])},
        "seed": record["seed"],
        "fold": record["fold"],
        "selection": {
            "by": record["protocol"]["select"],
            "epoch": record["summary"]["selected_epoch"],
            "tuned_threshold": record["summary"]["tuned_threshold"],
        },
        "scores": scored,
        "subgroups": _subgroups(home, record["key"], groups, categories),
        "environment": record["environment"],
        "started": record["started"],
        "intended_use": INTENDED,
        "limits": list(LIMITS),
    }


def _budget(protocol: Mapping[str, Any]) -> dict[str, Any]:
    name = protocol["budget"]
    return {name: protocol[name]}


def parts_of(home: StudyFolder, record: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The ids that this run was trained, selected and tested on; nothing where the study forgot."""
    for split in (home.read_json("split.json") or {"splits": []})["splits"]:
        if split["fold"] == record["fold"] and split["split_seed"] == record["protocol"].get("split_seed", 0):
            return {part: split[part] for part in ("train", "validation", "test")}
    return {}


def _interval(scores: Scores, owners: Sequence[str]) -> dict[str, float | None]:
    """Mean, and its 95 % interval where there are images enough."""
    if scores.shape[1] < FEWEST:
        return {"mean": float(np.mean(scores)), "low": None, "high": None}
    found = score_interval(by_group(scores, owners))
    return {"mean": found.mean, "low": found.low, "high": found.high}


def _subgroups(
    home: StudyFolder, key: str, groups: Mapping[str, str], categories: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    test = home.images([key]).filter(part="test").sort("id")
    ids = test["id"].to_list()
    place = {each: i for i, each in enumerate(ids)}
    iou = test["native_iou"].to_numpy()
    return [
        {
            "kind": kind,
            "name": name,
            "num_images": len(mine),
            "iou": _interval(iou[[place[i] for i in mine]][None], [groups.get(i, i) for i in mine]),
        }
        for (kind, name), mine in members_of(home, ids, categories).items()
        if mine and len(mine) < len(ids)
    ]


def as_markdown(card: Mapping[str, Any]) -> str:
    """The card as a page."""
    data, chosen = card["data"], card["selection"]
    validation, test = card["scores"]["validation"], card["scores"]["test"]
    sizes = [str(data[f"num_{part}"]) for part in ("train", "validation", "test") if f"num_{part}" in data]
    fold = "" if card["fold"] is None else f", fold {card['fold']}"
    lines = [
        f"# {card['name']}",
        "",
        f"A segmentation model: {card['architecture']} ({card['num_parameters']:,} parameters), trained with "
        f"the {card['loss']} loss by segstudy. Run `{card['key']}`, seed {card['seed']}{fold}.",
        "",
        "## Intended use and limits",
        "",
        card["intended_use"],
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "## Data",
        "",
        f"- {data['name']}, {data['num_images']} images; fingerprint `{data['fingerprint']}`",
        *([f"- trained, selected and tested on {' / '.join(sizes)} of them"] if sizes else []),
        f"- terms of the data: {data['terms'] or 'not known; ask whoever published them'}",
        *([f"- cite: {data['citation']}"] if data["citation"] else []),
        "",
        "## Training",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {_value(value)} |" for name, value in card["protocol"].items()),
        f"| epoch | {chosen['epoch']}, selected by {chosen['by']} |",
        f"| threshold | 0.5; {chosen['tuned_threshold']:g} was best on validation |",
        "",
        "## Scores",
        "",
        "Per image at its own size, threshold 0.5, mean and 95 % interval over images.",
        "",
        "| | validation | test |",
        "|---|--:|--:|",
        *(
            f"| {title} | {_score(validation.get(name))} | {_score(test[name])} |"
            for name, title in SCORES.items()
            if name in test
        ),
        "",
    ]
    if card["subgroups"]:
        lines += ["Test IoU of subgroups (under 20 images without an interval):", ""]
        lines += ["| | images | IoU |", "|---|--:|--:|"]
        lines += [
            f"| {each['kind']}: {each['name']} | {each['num_images']} | {_score(each['iou'])} |"
            for each in card["subgroups"]
        ]
        lines += [""]
    shown = {name: value for name, value in card["environment"].items() if value is not None}
    lines += ["## Environment", "", f"Trained {card['started'][:10]}.", "", "| | |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {_value(value)} |" for name, value in shown.items()]
    return "\n".join(lines) + "\n"


def _score(found: Mapping[str, float | None] | None) -> str:
    if found is None or found["mean"] is None:
        return ""
    digits = 1 if found["mean"] > 2 else 3
    interval = "" if found["low"] is None else f" [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
    return f"{found['mean']:.{digits}f}{interval}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return " x ".join(str(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
