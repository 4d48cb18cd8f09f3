"""The splits of a study: whole ones, and those with a share of their training images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segstudy.config.protocol import Protocol, unique
from segstudy.config.runs import Replicate
from segstudy.config.study import Study
from segstudy.core.errors import UserError
from segstudy.data.samples import Sample
from segstudy.data.split import Split, make_folds, make_split, read_split, with_train_frac


class SplitKey(NamedTuple):
    """Which split of a study.

    Attributes:
        split: the rule.
        split_seed: of the random split.
        fold: the fold, or None without folds.
        train_frac: the share of the training images that is used; 1: the whole split.
    """

    split: str
    split_seed: int
    fold: int | None
    train_frac: float = 1.0


Splits = Mapping[SplitKey, Split]

_ONLY = Replicate(seed=0, repeat=0, fold=None)  # of a study without folds: its one split


def key_of_split(protocol: Protocol, replicate: Replicate) -> SplitKey:
    """Return which split a run uses."""
    of_folds = "official folds" if protocol.split == "official" else "folds"
    rule = protocol.split if replicate.fold is None else of_folds
    return SplitKey(rule, protocol.split_seed + replicate.repeat, replicate.fold, protocol.train_frac)


def splits_of(study: Study, samples: Sequence[Sample]) -> dict[SplitKey, Split]:
    """Return all splits of a study. The whole ones are there even if no run is trained on them.

    Raises:
        UserError: an impossible split, or two values of ``train_frac`` with the same training images.
    """
    splits: dict[SplitKey, Split] = {}
    used: set[SplitKey] = set()
    for protocol in unique(c.protocol for c in study.configurations()):
        whole = _whole(study, protocol.model_copy(update={"train_frac": 1.0}), samples)
        frac = protocol.train_frac
        mine = whole if frac == 1 else _smaller(whole, samples, frac)
        splits |= {**whole, **mine}
        used.update(mine)
    _refuse_equal({key: split for key, split in splits.items() if key in used})
    return splits


def _smaller(whole: Splits, samples: Sequence[Sample], frac: float) -> dict[SplitKey, Split]:
    return {
        key._replace(train_frac=frac): with_train_frac(split, samples, frac, key.split_seed)
        for key, split in whole.items()
    }


def whole_splits(splits: Splits) -> dict[tuple[str, int, int | None], Split]:
    """Return the splits with all training images, by rule, split seed and fold."""
    return {key[:3]: split for key, split in splits.items() if key.train_frac == 1}


def _whole(study: Study, protocol: Protocol, samples: Sequence[Sample]) -> dict[SplitKey, Split]:
    if study.split_file:
        return {key_of_split(protocol, _ONLY): read_split(Path(study.split_file), samples)}
    if not study.folds:
        return {key_of_split(protocol, _ONLY): make_split(samples, protocol.split, protocol.split_seed)}
    splits: dict[SplitKey, Split] = {}
    for repeat in range(study.repeats):
        folds = make_folds(samples, study.folds, protocol.split_seed + repeat, protocol.split)
        splits |= {
            key_of_split(protocol, Replicate(0, repeat, fold)): split for fold, split in enumerate(folds)
        }
    return splits


def _refuse_equal(splits: Splits) -> None:
    """Refuse two shares of which one adds no image to the other.

    Raises:
        UserError: with both, and the number of images.
    """
    seen: dict[tuple[object, ...], float] = {}
    for key, split in splits.items():
        other = seen.setdefault((*key[:3], split.train), key.train_frac)
        if other != key.train_frac:
            low, high = sorted((other, key.train_frac))
            raise UserError(
                f"train_frac {low:g} and {high:g} give the same {len(split.train)} training images: "
                "leave one of them out"
            )
