"""How well planted wrong masks are found by ``segstudy audit``, and by other statistics to rank by.

    PYTHONPATH=tests python benchmarks/audit_planted.py PH2Dataset planted docs/results/audit/ph2.json
    PYTHONPATH=tests python benchmarks/audit_planted.py synthetic planted docs/results/audit/synthetic.json

In 5 % of the masks errors are planted; a small study with folds is trained on them, errors included, so that
every image is tested by networks that did not see it. With as many masks looked at as errors were planted,
precision and recall are equal. Four minutes a repetition on one core; finished studies are not trained again.
"""

import argparse
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import described, write_result
from numpy.typing import NDArray
from PIL import Image
from planted import KINDS, Picture, Planted, plant, write

import segstudy
from segstudy.data.datasets import read
from segstudy.data.images import read_image
from segstudy.data.masks import read_mask
from segstudy.data.prepared import open_prepared, prepare
from segstudy.evaluation.external_masks import study_samples
from segstudy.evaluation.summary import data_of
from segstudy.mask_errors.predictions import ImagePredictions, networks_of, tested_images, testers
from segstudy.mask_errors.suspicion import agreement_of, expected_iou, mask_iou
from segstudy.store.folder import StudyFolder

LONGER_PX = 256  # of the images as written: the networks see 64
PLANTED_FRAC = 0.05
NETWORKS = {"two configurations": 2, "one network": 1}  # the best ones on validation
TRAINING = {
    "architecture": ["unet", "segnet"],
    "loss": "bce",
    "batch_size": 8,
    "seeds": 1,
    "folds": 4,
    "image_size": 64,
    "width": 8,
    "epochs": 30,
    "record_test": False,
}


def pictures(data: str) -> list[Picture]:
    """All images and masks of a data set, the longer side at most ``LONGER_PX``."""
    found = []
    for sample in read(data).samples:
        image, mask = Image.fromarray(read_image(sample.image)), Image.fromarray(read_mask(sample.mask))
        scale = min(1, LONGER_PX / max(image.size))
        size = (round(image.width * scale), round(image.height * scale))
        pixels = np.asarray(image.resize(size, Image.Resampling.BOX))
        smaller = np.asarray(mask.convert("L").resize(size, Image.Resampling.BOX)) >= 128
        found.append(Picture(sample.id.replace("/", "-"), sample.group, pixels, smaller))
    return found


def trained(out: Path, images: list[Picture], seed: int) -> Path:
    """The study on the data with wrong masks of this draw; trained unless an earlier call did."""
    root = out / f"data-{seed}"
    wrong = plant(images, PLANTED_FRAC, seed)
    if not root.is_dir():
        write(root, images, wrong)
    study = out / f"study-{seed}"
    segstudy.run(
        root, out=study, images=False, yes=True, accept_duplicates=True, threads=1, workers=1, **TRAINING
    )
    return study


def mask_confidence(tested: ImagePredictions) -> NDArray[np.float64]:
    """Probability of each pixel's class by the mask, ``(height, width)``."""
    prob = tested.mean_prob.astype(np.float64)
    return np.where(tested.mask, prob, 1 - prob)


def softmin(tested: ImagePredictions, temperature: float = 0.1) -> float:
    """Lad and Mueller's score of an image, from 1 for the most suspicious down."""
    confidence = mask_confidence(tested)
    weight = np.exp((1 - confidence) / temperature)
    return 1 - float((confidence * weight).sum() / weight.sum())


def confident_errors(tested: ImagePredictions, thresholds: tuple[float, float]) -> NDArray[np.bool_]:
    """Pixels that are confidently of the other class: above the mean confidence of its own pixels."""
    prob = tested.mean_prob
    background, foreground = thresholds
    missing = ~tested.mask & (prob >= max(0.5, foreground))
    return missing | (tested.mask & (1 - prob >= max(0.5, background)))


def class_thresholds(images: Sequence[ImagePredictions]) -> tuple[float, float]:
    """Mean confidence of background and of foreground pixels (Northcutt et al., equation 2)."""
    of_background = np.concatenate([1 - each.mean_prob[~each.mask] for each in images])
    of_foreground = np.concatenate([each.mean_prob[each.mask] for each in images])
    return float(of_background.mean()), float(of_foreground.mean())


def statistics(images: Sequence[ImagePredictions]) -> dict[str, dict[str, float]]:
    """Each candidate's value of each image, high for suspicious ones."""
    thresholds = class_thresholds(images)
    found: dict[str, dict[str, float]] = {}
    for each in images:
        both, expected = agreement_of(each), expected_iou(each.mean_prob)
        errors = confident_errors(each, thresholds)
        union = max(1, int((each.mask | each.predicted).sum()))
        values = {
            "agreement x (1 - IoU)": both.suspicion,
            "agreement - IoU": both.agreement - both.iou,
            "expected IoU x (1 - IoU)": expected * (1 - both.iou),
            "expected IoU - IoU": expected - both.iou,
            "1 - IoU": 1 - both.iou,
            "1 - IoU of the best network": 1 - max(mask_iou(prob >= 0.5, each.mask) for prob in each.probs),
            "softmin (Lad and Mueller)": softmin(each),
            "1 - mean confidence": 1 - float(mask_confidence(each).mean()),
            "confident errors, share of pixels": float(errors.mean()),
            "confident errors, share of the union": float(errors.sum()) / union,
        }
        for name, value in values.items():
            found.setdefault(name, {})[each.id] = float(value)
    return found


def tested(study: Path, most: int) -> list[ImagePredictions]:
    """All images of a study with the predictions of its best configurations."""
    folder = StudyFolder(study)
    networks = networks_of(folder, most)
    samples = study_samples(folder, folder.study().data)
    protocol = networks.protocol
    height, width = protocol.image_size
    settings = (height, width), protocol.resize, protocol.mask_meaning(), protocol.scale()
    prepared = open_prepared(prepare(list(samples.values()), data_of(folder).fingerprint, *settings))
    by = testers(folder, networks)
    return list(tested_images(folder, by, sorted(by), prepared))


def judged(values: Mapping[str, float], wrong: Mapping[str, Planted]) -> dict[str, Any]:
    """Precision at the number planted (equal to recall there), and how the planted ones rank."""
    order = sorted(values, key=lambda sample_id: -values[sample_id])
    first = set(order[: len(wrong)])
    right = [value for sample_id, value in values.items() if sample_id not in wrong]
    above = [np.mean([values[i] > value for value in right]) for i in wrong]
    return {
        "precision": len(first & wrong.keys()) / len(wrong),
        "recall_at_twice": len(set(order[: 2 * len(wrong)]) & wrong.keys()) / len(wrong),
        "auc": round(float(np.mean(above)), 4),
        "found": {kind: sum(wrong[i].kind == kind for i in first & wrong.keys()) for kind in KINDS},
    }


def mean_of(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the repetitions, and the sums of what was found of each kind."""
    means = {
        name: round(float(np.mean([each[name] for each in found])), 4) for name in found[0] if name != "found"
    }
    return {**means, "found": {kind: sum(each["found"][kind] for each in found) for kind in KINDS}}


def repetition(study: Path, wrong: Mapping[str, Planted]) -> dict[str, Any]:
    """All candidates on one study, with both configurations and with the best one alone; ranks and kinds."""
    audit = segstudy.audit(study)
    assert {mask.id for mask in audit.masks} >= wrong.keys()
    rank = {mask.id: i for i, mask in enumerate(audit.masks, 1)}
    kind = {mask.id: mask.kind for mask in audit.masks}
    result: dict[str, Any] = {
        "planted": [
            {
                "id": sample_id,
                "kind": each.kind,
                "iou_with_true_mask": round(each.iou, 3),
                "rank": rank[sample_id],
                "suspected": kind[sample_id],
            }
            for sample_id, each in wrong.items()
        ],
        "suspected_of_others": Counter(kind[i] for i in kind if i not in wrong),
        "images": len(rank),
    }
    for name, most in NETWORKS.items():
        values = statistics(tested(study, most))
        result[name] = {statistic: judged(each, wrong) for statistic, each in values.items()}
    return result


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over all repetitions: each candidate's mean, and what was planted."""
    planted = [each for repeat in found for each in repeat["planted"]]

    def pick(name: str, statistic: str) -> list[Any]:
        return [each[name][statistic] for each in found]

    return {
        "planted": Counter(each["kind"] for each in planted),
        "kind_named_rightly": Counter(each["kind"] for each in planted if each["kind"] == each["suspected"]),
        "another_kind_named": Counter(
            each["kind"] for each in planted if each["suspected"] not in ("", each["kind"])
        ),
        **{
            name: {statistic: mean_of(pick(name, statistic)) for statistic in found[0][name]}
            for name in NETWORKS
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    os.nice(10)
    images = pictures(asked.data)
    found = []
    for seed in range(asked.repeats):
        study = trained(asked.out, images, seed)
        found.append(repetition(study, plant(images, PLANTED_FRAC, seed)))
    result = {
        "machine": described(),
        "training": TRAINING,
        "planted_frac": PLANTED_FRAC,
        "summary": summary(found),
        "repetitions": found,
    }
    write_result(asked.result, result)
    for name in NETWORKS:
        print(name)
        for statistic, each in result["summary"][name].items():
            print(f"  {statistic:40} {each}")


if __name__ == "__main__":
    main()
