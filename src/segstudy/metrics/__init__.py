"""What one predicted mask is worth against the true one."""

Score = dict[str, float | None]  # ``mean``, ``low`` and ``high`` of a metric over images

METRICS_SHOWN = (
    ("iou", "IoU", ".3f"),
    ("iou_tuned", "IoU at the tuned threshold", ".3f"),
    ("dice", "Dice", ".3f"),
    ("thresholded_jaccard", "thresholded Jaccard", ".3f"),
    ("hd95_px", "HD95 in px", ".1f"),
    ("hd95_frac", "HD95 over the diagonal", ".1%"),
    ("asd_frac", "average surface distance over the diagonal", ".1%"),
    ("nsd", "normalised surface distance", ".3f"),
    ("ece", "calibration error (ECE)", ".3f"),
    ("brier", "Brier score", ".3f"),
)
