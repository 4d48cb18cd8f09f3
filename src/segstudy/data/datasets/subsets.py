"""The words that people use for the subsets train, validation and test: of folders, and in tables."""

import re
from collections.abc import Iterable

from segstudy.core.errors import UserError
from segstudy.data.samples import PARTS, Part

_WORDS: dict[str, Part] = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "trainingset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "validset", "validationset"), "validation"),
    **dict.fromkeys(("dev", "devel", "development", "devset", "developmentset"), "validation"),
    **dict.fromkeys(("test", "tst", "testing", "testset", "testingset"), "test"),
    **dict.fromkeys(("holdout", "heldout", "holdoutset"), "test"),
}
_UNCLEAR = frozenset(
    {"eval", "evaluation", "evalset", "evaluationset"}
)  # validation for some, test for others


def _plain(text: str) -> str:
    """``Training Set`` and ``training-set`` as ``trainingset``."""
    return re.sub(r"[\s_-]+", "", text.casefold())


def subset_named(text: str) -> Part | None:
    """The subset that a word stands for, in any case; None where it stands for none, or may be two.

    >>> subset_named("Training"), subset_named("hold-out"), subset_named("eval"), subset_named("x")
    ('train', 'test', None, None)
    """
    return _WORDS.get(_plain(text))


def is_subset_word(text: str) -> bool:
    """Whether a word stands for a subset, even where it may be either of two.

    >>> is_subset_word("Eval"), is_subset_word("patient1")
    (True, False)
    """
    return _plain(text) in _WORDS or _plain(text) in _UNCLEAR


def subsets_of(names: Iterable[str], where: str) -> dict[str, Part]:
    """Which subset each of these folders is; names that are no word for a subset are left out.

    ``eval`` is validation beside a test folder, and test beside a validation folder.

    Args:
        names: of folders that lie beside one another.
        where: of them, for messages.

    Raises:
        UserError: two folders for one subset, or one that may be either of two.
    """
    given = sorted(name for name in names if is_subset_word(name))
    found = {name: subset for name in given if (subset := subset_named(name))}
    for name in given:
        if name not in found:
            found[name] = _by_exclusion(name, set(found.values()), where)
    for subset in PARTS:
        same = [name for name, each in found.items() if each == subset]
        if len(same) > 1:
            raise UserError(f"{where}: {' and '.join(same)} are the same subset; merge them or remove one")
    return found


def _by_exclusion(name: str, taken: set[Part], where: str) -> Part:
    left: list[Part] = [subset for subset in ("validation", "test") if subset not in taken]
    if len(left) == 1:
        return left[0]
    raise UserError(f"{where}: {name} may mean validation or test; rename it to validation or to test")
