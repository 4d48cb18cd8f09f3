"""How the runs of a study were trained, in sentences: what they share, and the values of what varies."""

from collections.abc import Callable, Iterable, Sequence

from segstudy.analysis.configurations import Row
from segstudy.analysis.design import level, levels_of
from segstudy.analysis.factorials import ORIGINAL
from segstudy.analysis.formatting import listed
from segstudy.config.protocol import FACTORS, Protocol, unique
from segstudy.core.quantities import counted
from segstudy.data.channels import shown

ALL = 100
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
WORDS = {
    "architecture": "segmentation network",
    "lr": "learning rate",
    "select": "selection of the epoch",
    "steps": "number of steps",
    "epochs": "number of epochs",
    "train_frac": "share of the training images",
}
AUGMENTATIONS = {
    "none": "without augmentation",
    "flips": "with random flips",
    "full": "with random flips, rotation, scale and colour",
}
# "full", where channels are no colours.
NO_COLOURS = "with random flips, rotation, scale, brightness and contrast"


def trained(rows: Sequence[Row]) -> str:
    """Return what was trained: ``We trained 4 configurations that differ in ..., all with ...``."""
    several = [factor for factor in FACTORS if len(levels_of(rows, factor)) > 1]
    number = f"We trained {counted(len(rows), 'configuration')}"
    if set(several) <= set(ORIGINAL):
        return f"{number} of {listed([_with_levels(rows, factor) for factor in ORIGINAL], ALL)}"
    fixed = [f"{_word(factor)} {level(rows[0], factor)}" for factor in ORIGINAL if factor not in several]
    same = f", all with {listed(fixed, ALL)}," if fixed else ""
    return f"{number} that differ in {listed([_with_levels(rows, f) for f in several], ALL)}{same}"


def _with_levels(rows: Sequence[Row], factor: str) -> str:
    return f"{_word(factor)} ({listed(levels_of(rows, factor), ALL)})"


def _word(factor: str) -> str:
    return WORDS.get(factor, factor.replace("_", " "))


def procedure(protocols: Sequence[Protocol]) -> str:
    """Return how runs of these protocols were trained; of what varies, all values, with ``or``."""

    def each(text: Callable[[Protocol], str]) -> str:
        return _either(text(protocol) for protocol in protocols)

    def numbers(field: str) -> str:
        return _either(f"{value:g}" for value in sorted({getattr(protocol, field) for protocol in protocols}))

    decay = f", weight decay {numbers('weight_decay')}" if any(p.weight_decay for p in protocols) else ""
    share = ""
    if any(protocol.train_frac != 1 for protocol in protocols):
        share = (
            f" Of the training images a share of {numbers('train_frac')} was used: whole groups, each "
            "category with about its share, smaller shares nested in larger ones."
        )
    return (
        f"{_seen(protocols)} Every network started from random weights at width "
        f"{numbers('width')} and was trained for {each(_budget)} with "
        f"{each(_optimizer)} (learning rate {numbers('lr')}{decay}, {each(_schedule)}) "
        f"{each(_augmentation)}, in {each(lambda p: p.precision)}; the weights of "
        f"{each(_kept)} were kept.{share}"
    )


def _seen(protocols: Sequence[Protocol]) -> str:
    """Return how images became inputs of the networks, in sentences."""
    resized = [each for each in protocols if each.resize != "tiles"]
    tiled = [(each, windowing) for each in protocols if (windowing := each.windowing()) is not None]
    found = []
    if resized:
        found.append(
            f"Images{_channels(protocols[0])} were resized to {_either(map(_image_size, resized))} pixels "
            f"({_either(each.resize for each in resized)})."
        )
    if tiled:
        others = "In other runs they" if resized else f"Images{_channels(protocols[0])}"
        overlaps = _either(f"{windowing.overlap}" for _, windowing in tiled)
        found.append(
            f"{others} were not resized: networks were trained on random tiles of "
            f"{_either(_image_size(each) for each, _ in tiled)} pixels, as many in an epoch as cover the "
            "images; each was chosen with probability .5 to hold a pixel of a scored class. Predictions of "
            f"windows of this size, which overlap by at least {overlaps} pixels, were blended."
        )
    return " ".join(found)


def to_native(protocols: Iterable[Protocol]) -> str:
    """Return how probabilities get to the size of the images, before ``each image's own size``."""
    ways = ("resized back to", "blended at")
    return " or ".join(unique(ways[protocol.resize == "tiles"] for protocol in protocols))


def _either(texts: Iterable[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    *others, last = dict.fromkeys(texts)
    return f"{', '.join(others)} or {last}" if others else last


def _channels(protocol: Protocol) -> str:
    """Return the number of channels, which is the same for all, where it is not three."""
    if protocol.channels is None:
        return ""
    return f" of {counted(protocol.channels, 'channel')}{shown(protocol.channels)}"


def _augmentation(protocol: Protocol) -> str:
    if protocol.augmentation == "full" and protocol.channels is not None:
        return NO_COLOURS
    return AUGMENTATIONS[protocol.augmentation]


def _image_size(protocol: Protocol) -> str:
    return " × ".join(map(str, protocol.image_size))


def _budget(protocol: Protocol) -> str:
    if protocol.budget == "epochs":
        return counted(protocol.epochs, "epoch")
    return counted(protocol.steps, "step")


def _optimizer(protocol: Protocol) -> str:
    momentum = f" with momentum {protocol.momentum:g}" if protocol.optimizer == "sgd" else ""
    return OPTIMIZERS[protocol.optimizer] + momentum


def _schedule(protocol: Protocol) -> str:
    return {
        "plateau": f"multiplied by {protocol.plateau_factor:g} when the validation "
        f"{'loss' if protocol.plateau_on == 'val_loss' else 'IoU'} did not improve by "
        f"{protocol.plateau_threshold:g} (relative) for more than "
        f"{counted(protocol.plateau_patience, 'epoch')}",
        "cosine": "annealed with a cosine",
        "onecycle": "on a one-cycle schedule",
        "none": "held constant",
    }[protocol.scheduler]


def _kept(protocol: Protocol) -> str:
    return "the epoch with the highest validation IoU" if protocol.select == "val_iou" else "the last epoch"
