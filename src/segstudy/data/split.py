"""Which sample is for training, which for validation, which for testing."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segstudy.core.errors import UserError
from segstudy.core.json_files import read_json_by_hand
from segstudy.core.seeding import seed_for
from segstudy.data.sample_ids import match_ids, no_such_ids
from segstudy.data.samples import PARTS, Part, Sample

NAMES_OF_OFFICIAL = frozenset({"auto", "official"})


@dataclass(frozen=True, slots=True)
class Split:
    """The sample ids of each part, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def part(self, name: Part) -> tuple[str, ...]:
        ids: tuple[str, ...] = getattr(self, name)
        return ids

    @property
    def fingerprint(self) -> str:
        text = json.dumps([self.train, self.validation, self.test], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_split(samples: Sequence[Sample], split: str, seed: int) -> Split:
    """Cut samples into three parts.

    Args:
        samples: in any order; the result does not depend on it.
        split: shares such as ``50/25/25``; ``official``: the publisher's parts, a missing one cut from
            its training part; ``auto``: official where there are official parts, else ``50/25/25``.
        seed: the ``split_seed``.

    Raises:
        UserError: shares that are none, no official parts, or a part that would be empty.
    """
    official = any(sample.part for sample in samples)
    if split == "official" and not official:
        raise UserError(
            "split = official, but the data set has no official parts: give shares such as 50/25/25"
        )
    if split in NAMES_OF_OFFICIAL and official:
        parts = _official(samples, seed)
    else:
        parts = deal(samples, shares_of("50/25/25" if split == "auto" else split), seed)
    return _checked(parts)


def make_folds(samples: Sequence[Sample], folds: int, seed: int, split: str = "auto") -> list[Split]:
    """Fold k tests on part k, validates on part k + 1 (mod folds) and trains on the rest.

    Every sample of the folds is tested exactly once.

    Args:
        samples: in any order; the result does not depend on it.
        folds: how many.
        seed: the ``split_seed``.
        split: ``official``: of the official train and validation subsets, without the test subset; ``all`` or
            shares: of all samples; ``auto``: of all samples if there is no official test subset.

    Raises:
        UserError: fewer groups than folds; or an official test subset, and ``auto`` does not say what becomes
            of it.
    """
    parts = deal(_in_folds(samples, split), [1 / folds] * folds, seed)
    splits = []
    for k in range(folds):
        validation = (k + 1) % folds
        train = [sample_id for i, ids in enumerate(parts) if i not in (k, validation) for sample_id in ids]
        splits.append(_checked([sorted(train), parts[validation], parts[k]]))
    return splits


def _in_folds(samples: Sequence[Sample], split: str) -> list[Sample]:
    """Return the samples that folds are made of.

    Raises:
        UserError: as ``make_folds``.
    """
    num_test = sum(sample.part == "test" for sample in samples)
    if split == "auto" and num_test:
        raise UserError(
            f"folds: the data set has an official test subset, {num_test} of {len(samples)} images; choose "
            f"--split official (folds of the other {len(samples) - num_test} images, without test), "
            "or --split all (folds of all images, the official subsets are not kept)"
        )
    if split != "official":
        return list(samples)
    if not any(sample.part for sample in samples):
        raise UserError("split = official, but the data set has no official subsets: choose --split all")
    return [sample for sample in samples if sample.part in ("train", "validation")]


def about_folds(samples: Sequence[Sample], split: str) -> str:
    """Say what becomes of official subsets in folds; nothing where there are none."""
    if not any(sample.part for sample in samples):
        return ""
    if split == "official":
        left_out = len(samples) - len(_in_folds(samples, split))
        return f"folds of the official train and validation subsets; {left_out} test images are in no fold"
    return f"folds of all {len(samples)} images; the official subsets are not kept"


def shares_of(split: str) -> list[float]:
    """``50/25/25`` to [.5, .25, .25]."""
    try:
        shares = [float(share) for share in split.split("/")]
    except ValueError:
        shares = []
    if len(shares) != 3 or not all(0 < share < float("inf") for share in shares):
        raise UserError(
            f"split {split!r} is neither auto, official nor three positive shares such as 50/25/25 (all is "
            "for folds only)"
        )
    return [share / sum(shares) for share in shares]


def deal(samples: Sequence[Sample], shares: Sequence[float], seed: int) -> list[list[str]]:
    """Deal whole groups into parts of the given shares, evenly within every category.

    Groups are laid out by category and, within it, in an order that depends on the seed and the
    group's name alone. They are then dealt one after another to the part that is furthest behind its
    share so far. As categories lie side by side, each gets its shares up to one group.

    Returns:
        The ids of each part, sorted.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group].append(sample)
    if len(groups) < len(shares):
        raise UserError(
            f"{len(groups)} groups cannot fill {len(shares)} parts: add images, or use fewer folds"
        )

    def place(name: str) -> tuple[str, int]:
        category = min(sample.category or "" for sample in groups[name])
        return category, seed_for("split", seed=seed, group=name)

    parts: list[list[str]] = [[] for _ in shares]
    dealt = 0
    for name in sorted(groups, key=place):
        dealt += len(groups[name])
        behind = [share * dealt - len(part) for share, part in zip(shares, parts, strict=True)]
        parts[behind.index(max(behind))] += [sample.id for sample in groups[name]]
    return [sorted(part) for part in parts]


def _official(samples: Sequence[Sample], seed: int) -> list[list[str]]:
    """The official parts; validation or test, where missing, is a quarter of what is for training."""
    by_part: dict[Part, list[Sample]] = {name: [s for s in samples if s.part == name] for name in PARTS}
    missing = [name for name in ("validation", "test") if not by_part[name]]
    if missing and by_part["train"]:
        quarter = 0.25
        shares = [1 - quarter * len(missing), *[quarter] * len(missing)]
        cut = deal(by_part["train"], shares, seed)
        dealt = dict(zip(["train", *missing], cut, strict=True))
    else:
        dealt = {}
    return [dealt.get(name, sorted(sample.id for sample in by_part[name])) for name in PARTS]


def _checked(parts: Sequence[Sequence[str]]) -> Split:
    train, validation, test = parts
    for name, ids in zip(PARTS, parts, strict=True):
        if not ids:
            raise UserError(
                f"the {name} part would be empty: add images or change the split (--set split=50/25/25)"
            )
    if len(train) < 2:
        raise UserError("the training part would hold one image: batch norm needs two; add images")
    return Split(tuple(train), tuple(validation), tuple(test))


def with_train_frac(split: Split, samples: Sequence[Sample], frac: float, seed: int) -> Split:
    """Return a split with a share of its training images; validation and test stay.

    Whole groups are taken, in an order that depends on the seed and the groups' names alone. In it every
    category comes with its share, up to one group. So the images of a smaller share are among those of a
    larger one, and a share of 1 is all of them.

    Args:
        split: the whole one.
        samples: of the data set, in any order.
        frac: of the training images, above 0 and at most 1; rounded to whole groups.
        seed: the ``split_seed``.

    Raises:
        UserError: fewer than two images would be left.
    """
    train = set(split.train)
    limit = frac * len(train)
    taken: list[str] = []
    passed = 0
    for group in _interleaved([sample for sample in samples if sample.id in train], seed):
        if passed + len(group) / 2 > limit:
            break
        passed += len(group)
        taken += group
    if len(taken) < 2:
        raise UserError(
            f"train_frac {frac:g} would leave {len(taken)} of {len(train)} training images, but batch norm "
            "needs two: use a larger share"
        )
    return Split(tuple(sorted(taken)), split.validation, split.test)


def _interleaved(samples: Sequence[Sample], seed: int) -> list[list[str]]:
    """Return the ids of each group, in an order in which all categories advance alike.

    The next group is always one of the category that is furthest behind its share of the images so far.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    category: dict[str, str] = {}
    for sample in samples:
        groups[sample.group].append(sample.id)
        category[sample.group] = min(sample.category or "", category.get(sample.group, sample.category or ""))
    waiting: dict[str, list[str]] = defaultdict(list)
    for name in sorted(groups, key=lambda name: (seed_for("train_frac", seed=seed, group=name), name)):
        waiting[category[name]].append(name)
    share = {each: sum(len(groups[name]) for name in names) for each, names in waiting.items()}
    taken, order = dict.fromkeys(sorted(share), 0), []
    for _ in groups:
        passed = sum(taken.values())
        behind = {
            each: share[each] * (passed + len(groups[waiting[each][0]])) - len(samples) * taken[each]
            for each in taken
            if waiting[each]
        }
        chosen = max(behind, key=lambda each: behind[each])
        name = waiting[chosen].pop(0)
        taken[chosen] += len(groups[name])
        order.append(sorted(groups[name]))
    return order


def read_split(file: Path, samples: Sequence[Sample]) -> Split:
    """The parts of a ``split.json`` with one split, or of ``{"train": [...], ...}``.

    Raises:
        UserError: another content, ids that are not there, or an id in two parts.
    """
    found = read_json_by_hand(file, "it must hold lists of ids under train, validation and test")
    try:
        content = (
            found["splits"][0] if isinstance(found, dict) and len(found.get("splits", [])) == 1 else found
        )
        written = [list(map(str, content[part])) for part in ("train", "validation", "test")]
    except (KeyError, TypeError):
        raise UserError(f"{file}: is to hold lists of ids under train, validation and test") from None
    known = [sample.id for sample in samples]
    matched = [match_ids(part, known) for part in written]
    if unknown := [each for part in matched for each in part.unknown]:
        raise UserError(f"{file}: {no_such_ids(unknown, known, 'the data')}")
    parts = [tuple(sorted(part.ids)) for part in matched]
    ids = [sample_id for part in parts for sample_id in part]
    if len(set(ids)) < len(ids):
        raise UserError(f"{file}: some ids stand in two parts")
    if not all(parts):
        raise UserError(f"{file}: a part is empty")
    return Split(*parts)
