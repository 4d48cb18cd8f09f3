"""The learning curve over training size: test IoU by number of training images, and what more would bring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segstudy.analysis.configurations import Row
from segstudy.analysis.design import Design, design_of
from segstudy.analysis.formatting import listed
from segstudy.analysis.results import Results
from segstudy.core.quantities import counted, percent
from segstudy.stats.intervals import LEVEL, Interval, score_interval
from segstudy.stats.training_size import FEWEST_SIZES, MOST_TIMES, MoreImages, State, more_images

FACTOR = "train_frac"
REASONS: Mapping[State, str] = {
    "bends": "no power law fits, the curve becomes steeper",
    "few sizes": f"at least {FEWEST_SIZES} sizes are needed",
    "one run": "one run of a size, training noise not measured",
    "few units": "one test image or group",
    "perfect": "a mean IoU of 1 leaves no error to extrapolate",
}
IN_ONE_SPLIT = (
    "Intervals are 95 % over test images and seeds, for these nested subsets of one split. Other images of "
    "the same number could give other scores: --folds averages over several sets."
)
IN_FOLDS = (
    "Intervals are 95 % over test images and seeds. The number of images is the mean over folds; scores are "
    "means over the training sets of the folds, and hold for these."
)
EXTRAPOLATION = (
    "What more images would bring is an extrapolation. Its model is a power law, 1 - IoU = c + a n^-b, for "
    f"the means of a configuration, up to {MOST_TIMES:g} times its largest training set. The interval is "
    f"over test images, seeds and every c that fits (tested at {percent(1 - LEVEL)}). It assumes that new "
    f"images are like these. Nothing is said if no c fits, or with fewer than {FEWEST_SIZES} sizes; more "
    "sizes give a shorter interval."
)
SAME_EPOCHS = (
    "All runs had the same number of epochs, so those with fewer images also made fewer training steps; with "
    "--set budget=steps all make the same number."
)
SAME_STEPS = "All runs made the same number of training steps."


@dataclass(frozen=True, slots=True)
class SizePoint:
    """A configuration at one training size.

    Attributes:
        name: of the configuration of the study.
        train_frac: its share, as text.
        num_images: for training; of folds the mean.
        test: IoU.
    """

    name: str
    train_frac: str
    num_images: float
    test: Interval


@dataclass(frozen=True, slots=True)
class SizeCurve:
    """A configuration at all its training sizes.

    Attributes:
        name: of the configuration, without its share.
        points: the smallest first.
        more: what more images would bring.
    """

    name: str
    points: tuple[SizePoint, ...]
    more: MoreImages

    @property
    def answer(self) -> str:
        """How many more images would bring the gain, or why that cannot be told."""
        return more_images_text(self.more, self.points[-1].num_images)


@dataclass(frozen=True, slots=True)
class TrainingSizes:
    """All learning curves of a study, the best at its largest size first.

    Attributes:
        curves: of configurations that differ in ``train_frac`` alone.
        notes: what the numbers hold for, and what was left out.
    """

    curves: tuple[SizeCurve, ...]
    notes: tuple[str, ...]


def training_sizes(results: Results, num_train: Mapping[str, int]) -> TrainingSizes | None:
    """Return the learning curves; None unless ``train_frac`` varies between comparable configurations.

    Args:
        results: of the study.
        num_train: training images of each split, by its fingerprint.
    """
    design = design_of(results)
    groups: dict[str, list[str]] = {}
    for name, point in design.points.items():
        groups.setdefault(design.rest(point, (FACTOR,)), []).append(name)
    curves = [_curve(design, names, num_train) for names in groups.values() if len(names) > 1]
    if not curves:
        return None
    curves.sort(key=lambda curve: -curve.points[-1].test.mean)
    alone = [names[0] for names in groups.values() if len(names) == 1]
    return TrainingSizes(tuple(curves), tuple(_notes(design, curves, alone)))


def _curve(design: Design, names: Sequence[str], num_train: Mapping[str, int]) -> SizeCurve:
    results = design.results
    points, scores = [], []
    for name in sorted(names, key=lambda name: float(design.points[name][FACTOR])):
        units = results.runs_of_units(name)
        assert units is not None
        share = design.points[name][FACTOR]
        points.append(
            SizePoint(name, share, _num_images(results.row(name), num_train), score_interval(units))
        )
        scores.append(units)
    return SizeCurve(
        name=points[-1].name.replace(f"-{FACTOR}={points[-1].train_frac}", ""),
        points=tuple(points),
        more=more_images([point.num_images for point in points], scores),
    )


def _num_images(row: Row, num_train: Mapping[str, int]) -> float:
    """Return the training images of a configuration's runs, on average."""
    numbers = [num_train[record.description.split] for record in row.records]
    return sum(numbers) / len(numbers)


def more_images_text(found: MoreImages, largest: float) -> str:
    """Return in a phrase how many more images would bring a gain of IoU.

    Args:
        found: the estimate.
        largest: number of training images that were used.
    """
    if found.state in REASONS:
        return f"cannot tell: {REASONS[found.state]}"
    gain, most = f"+{found.gain:g}", f"{found.most_extra:.0f}"
    if found.state == "too little":
        return f"even {most} more images would bring less than {gain}"
    low = f"{found.low:.0f}"
    if found.state == "estimated":
        high = f"more than {most}" if found.high is None else f"{found.high:.0f}"
        return f"about {found.extra:.0f} more images for {gain} (95 %: {low} to {high})"
    why = (
        "it is not shown that more images help"
        if found.state == "no slope"
        else f"the estimate lies beyond {MOST_TIMES:g} times the largest training set ({largest:.0f})"
    )
    return f"cannot tell: {why}; at least {low} more images for {gain}"


def _notes(design: Design, curves: Sequence[SizeCurve], alone: Sequence[str]) -> list[str]:
    results, first = design.results, curves[0].points[0].name
    notes = [
        IN_FOLDS if results.folds(first) is not None else IN_ONE_SPLIT,
        EXTRAPOLATION,
        SAME_EPOCHS if results.row(first).configuration["protocol"].get("budget") == "epochs" else SAME_STEPS,
    ]
    left_out = {
        "with one size only": alone,
        "with missing runs": design.incomplete,
        "stopped at a look": design.stopped,
        "tested on other images or masks": design.other_truths,
    }
    for reason, names in left_out.items():
        if names:
            notes.append(
                f"Left out, {reason}: {counted(len(names), 'configuration')} ({listed(list(names))})."
            )
    return notes
