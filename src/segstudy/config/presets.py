"""The three protocols of segstudy, each a set of values to start a study from."""

from typing import Any

_ALL = {
    "architecture": ("segnet", "unet", "unet2", "dilated_unet"),
    "loss": ("bce", "focal", "dice", "tversky", "combo"),
}

PRESETS: dict[str, dict[str, Any]] = {
    # Minutes on a small CPU, for the synthetic set and for a first look at a user's own data.
    "quick": {
        "protocol": {
            "image_size": 64,
            "width": 8,
            "epochs": 24,
            "lr": 3e-3,
            "scheduler": "onecycle",
            "precision": "auto",
            "record_test": False,
        },
        "grid": [{**_ALL, "batch_size": (8,)}],
    },
    # The original experiment: 4 architectures x 5 losses at batch 8, the two simpler ones also at 12.
    "classic": {
        "protocol": {},
        "grid": [
            {**_ALL, "batch_size": (8,)},
            {"architecture": ("segnet", "unet"), "loss": _ALL["loss"], "batch_size": (12,)},
        ],
    },
    # The best model a small data set allows: docs/LOG.md has the measurements behind each value.
    "thorough": {
        "folds": 4,
        "seeds": 3,
        "protocol": {
            "epochs": 120,
            "augmentation": "full",
            "plateau_on": "val_iou",
            "plateau_patience": 8,
            "precision": "auto",
            "record_test": False,
        },
        "grid": [{"architecture": ("unet",), "loss": ("combo",), "batch_size": (8,)}],
    },
}
