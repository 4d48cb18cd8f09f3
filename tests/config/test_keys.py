"""A committed table of runs and keys: whoever changes one has changed every stored study.

Where a change is meant, it goes with a raised ``NUMERICS`` or a new field in ``ADDED_LATER``, and the
table is written again by ``python tests/config/test_keys.py``.
"""

import json
from functools import partial

from places import TESTS

from segstudy.config.runs import configuration_names
from segstudy.config.study import override, planned_runs, preset_study
from segstudy.data import preprocess
from segstudy.models import lower_precision_numerics
from segstudy.study.machine import choose_machine
from segstudy.study.plan import _numerics, resolve

TABLE = TESTS / "keys.json"

VARIANTS = {
    "classic": ("classic", {}),
    "classic at CPU scale": ("classic", {"image_size": [128], "width": [16], "precision": ["bfloat16"]}),
    "quick in float32": ("quick", {"precision": ["float32"]}),
    "thorough in float32": ("thorough", {"precision": ["float32"]}),
    "options, optimizers and schedulers": (
        "classic",
        {
            "architecture": ["unet", "unet:skips=false"],
            "loss": ["focal:gamma=1", "tversky:fp_weight=0.2:fn_weight=0.8"],
            "optimizer": ["sgd", "adamw"],
            "scheduler": ["cosine", "none"],
            "augmentation": ["flips"],
            "image_size": ["96x128"],
            "seeds": [2],
        },
    ),
    "further losses, and sums": (
        "classic",
        {
            "architecture": ["unet"],
            "loss": [
                *("bce_dice", "jaccard", "focal_tversky", "lovasz", "cldice", "boundary", "hausdorff_dt"),
                *("bce+dice", "dice+0.01*boundary", "tversky:fp_weight=0.2+2*focal:gamma=1"),
            ],
            "batch_size": [8],
        },
    ),
    "another tolerance": (
        "classic",
        {"architecture": ["unet"], "loss": ["bce"], "nsd_tolerance": [0.005]},
    ),
    "micro-batches": ("classic", {"architecture": ["unet"], "loss": ["bce"], "micro_batch": [4]}),
    "several classes": ("classic", {"classes": ["background=0,disc=1,cup=2"], "batch_size": [8]}),
    "classes that may overlap": (
        "classic",
        {"architecture": ["unet"], "classes": ["disc,cup"], "batch_size": [8]},
    ),
    "weights of classes and ignored pixels": (
        "classic",
        {
            "architecture": ["unet"],
            "loss": ["bce", "dice:background=true"],
            "classes": ["background=0,disc=1,cup=2"],
            "class_weights": ["balanced", "1+2+5"],
            "ignore": ["255"],
            "batch_size": [8],
        },
    ),
    "four channels": (
        "classic",
        {"architecture": ["unet"], "loss": ["bce"], "batch_size": [8], "channels": [4]},
    ),
    "one channel": (
        "classic",
        {"architecture": ["unet"], "loss": ["bce"], "batch_size": [8], "channels": [1]},
    ),
    "tiles": (
        "classic",
        {
            "architecture": ["unet"],
            "loss": ["bce"],
            "batch_size": [8],
            "image_size": [128],
            "resize": ["tiles"],
            "overlap": [16, 48],
        },
    ),
    "other architectures": (
        "classic",
        {
            "architecture": ["unetpp", "attention_unet", "resunet", "nnunet", "nnunet:stages=6", "mednext"],
            "loss": ["bce"],
            "batch_size": [8],
        },
    ),
    "one foreground and ignored pixels": (
        "classic",
        {"architecture": ["unet"], "foreground": ["1"], "ignore": ["255"], "batch_size": [8]},
    ),
}


def keys() -> dict[str, dict[str, str]]:
    table = {}
    for title, (preset, fields) in VARIANTS.items():
        study = resolve(override(preset_study(preset, "s", "synthetic"), fields), choose_machine("cpu"))
        configurations = study.configurations()
        names = dict(zip(configurations, configuration_names(configurations), strict=True))
        runs = planned_runs(
            study,
            "0" * 16,
            lambda protocol, replicate: f"{protocol.split}, fold {replicate.fold}",
            partial(_numerics, preprocess.NUMERICS),
        )
        table[title] = {
            f"{names[run.configuration]}, seed {run.seed}, fold {run.fold}": run.key for run in runs
        }
    return table


def test_the_committed_keys_hold():
    assert keys() == json.loads(TABLE.read_text(encoding="utf-8"))


def test_all_keys_are_different():
    found = [key for table in keys().values() for key in table.values()]
    assert len(set(found)) == len(found)


def test_float32_and_segnet_have_no_version_of_bfloat16():
    """Their arithmetic is that of before, and so are their keys."""
    without = [("unet", "float32"), ("unet", "float16"), ("segnet", "bfloat16"), ("my.py:unet", "bfloat16")]
    assert all(lower_precision_numerics(*each) == {} for each in without)
    assert lower_precision_numerics("unet:skips=false", "bfloat16") == {"bfloat16": 2}


if __name__ == "__main__":
    TABLE.write_text(json.dumps(keys(), indent=1) + "\n", encoding="utf-8")
