"""Suggestions for unknown names."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

# Synonyms of our names. The part after an equals sign is the value with that meaning; of several names the
# first that the call has is taken.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "all": ("show_all",),
    "amp": ("precision",),
    "arch": ("architecture",),
    "assume_yes": ("yes",),
    "aug": ("augmentation",),
    "augment": ("augmentation", "tta"),
    "base_channels": ("width",),
    "batch": ("batch_size",),
    "bs": ("batch_size",),
    "channels": ("width",),
    "in_channels": ("channels",),
    "class": ("classes", "foreground"),
    "classes": ("foreground",),
    "criterion": ("loss",),
    "cv": ("folds",),
    "data_dir": ("data",),
    "dataset": ("data",),
    "decay": ("weight_decay",),
    "dtype": ("precision",),
    "epoch": ("epochs",),
    "filters": ("width",),
    "fmt": ("format", "to"),
    "force": ("yes",),
    "format": ("to",),
    "fp16": ("precision",),
    "gpu": ("device",),
    "height": ("image_size",),
    "ignore": ("exclude",),
    "ignore_index": ("ignore",),
    "images": ("n",),
    "img": ("image_size",),
    "img_size": ("image_size",),
    "imgsz": ("image_size",),
    "input_size": ("image_size",),
    "iters": ("steps",),
    "iterations": ("steps",),
    "jobs": ("workers",),
    "json": ("format='json'",),
    "k_folds": ("folds",),
    "kfold": ("folds",),
    "largest": ("largest_component",),
    "learning_rate": ("lr",),
    "loss_fn": ("loss",),
    "loss_function": ("loss",),
    "lr_schedule": ("scheduler",),
    "lr_scheduler": ("scheduler",),
    "max_epochs": ("epochs",),
    "max_steps": ("steps",),
    "mixed_precision": ("precision",),
    "model": ("architecture",),
    "n_epochs": ("epochs",),
    "n_jobs": ("workers",),
    "net": ("architecture",),
    "network": ("architecture",),
    "num": ("n",),
    "num_epochs": ("epochs",),
    "num_folds": ("folds",),
    "num_images": ("n",),
    "num_seeds": ("seeds",),
    "num_steps": ("steps",),
    "num_threads": ("threads",),
    "number": ("n",),
    "num_workers": ("workers",),
    "opt": ("optimizer",),
    "optim": ("optimizer",),
    "outdir": ("out",),
    "outline": ("kinds=['outline']",),
    "output": ("out",),
    "output_dir": ("out",),
    "overlay": ("kinds=['overlay']",),
    "patience": ("plateau_patience",),
    "preset": ("protocol",),
    "probability": ("kinds=['probability']",),
    "quantize": ("int8",),
    "random_seed": ("seeds", "seed"),
    "repeats": ("seeds",),
    "replicates": ("seeds",),
    "resolution": ("image_size",),
    "runs": ("seeds",),
    "schedule": ("scheduler",),
    "seed": ("seeds",),
    "size": ("image_size",),
    "skip": ("exclude",),
    "test_time_augmentation": ("tta",),
    "val_split": ("split",),
    "wd": ("weight_decay",),
}


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the one of some names that was probably meant; None if none is near.

    Case, hyphens and a plural do not count; a synonym comes before a similar spelling.

    >>> nearest("learning-rate", ["lr", "loss"]), nearest("optimiser", ["optimizer", "lr"])
    ('lr', 'optimizer')
    >>> nearest("overlay", ["kinds", "out"])
    "kinds=['overlay']"
    """
    known = {_plain(choice): choice for choice in choices}
    plain = _plain(name)
    forms = (plain, plain.removesuffix("s"), plain.removesuffix("es"), f"{plain}s")
    for form in forms:
        if form in known:
            return known[form]
    for form in forms:
        for meant in SYNONYMS.get(form, ()):
            word, equals, value = meant.partition("=")
            if word in known:
                return f"{known[word]}{equals}{value}"
    if close := get_close_matches(plain, known, n=1, cutoff=0.6):
        return known[close[0]]
    longer = [choice for choice in known if len(plain) > 2 and plain in choice.split("_")]
    return known[longer[0]] if longer else None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return the end of a message: the nearest name, or all names."""
    names = list(choices)
    meant = nearest(name, names)
    return f"did you mean {meant}?" if meant else f"use one of {', '.join(names)}"


def use_one_of(name: str, choices: Iterable[str]) -> str:
    """Return the end of a message: which name was probably meant, and all names."""
    names = list(choices)
    meant = nearest(name, names)
    return (f"did you mean {meant}? " if meant else "") + f"use one of {', '.join(names)}"


def is_a_letter_off(word: str, name: str) -> bool:
    """Whether two words are equal, or become so if one letter is added, left out or replaced.

    >>> [is_a_letter_off(word, "remove") for word in ("remove", "remov", "remoxe", "demo")]
    [True, True, True, False]
    """
    short, long = sorted((word, name), key=len)
    same = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return len(long) - len(short) <= 1 and long[same + 1 :] in (short[same:], short[same + 1 :])


def nearest_beside(path: Path, fits: Callable[[Path], bool]) -> str:
    """Return the end of a message for a path where nothing is: ``; did you mean x?``, or nothing.

    Args:
        path: as it was given.
        fits: whether an entry of the same folder is of the kind that is wanted.
    """
    try:
        entries = {each.name.lower(): each for each in path.parent.iterdir() if each.name.isprintable()}
        for name in get_close_matches(path.name.lower(), entries, n=3, cutoff=0.75):
            if fits(entries[name]):
                return f"; did you mean {entries[name]}?"
    except OSError:  # there is no such folder either, or it may not be read
        pass
    return ""


def _plain(name: str) -> str:
    return name.strip().lstrip("-").replace("-", "_").replace(" ", "_").lower()
