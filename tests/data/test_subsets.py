import pytest

from segstudy.core.errors import UserError
from segstudy.data.datasets.subsets import is_subset_word, subset_named, subsets_of


@pytest.mark.parametrize(
    ("subset", "words"),
    [
        ("train", "train Train TRAINING trainset training_set Training-Set trn"),
        ("validation", "val Valid VALIDATION dev development val_set"),
        ("test", "test Testing TESTSET holdout hold-out held_out"),
    ],
)
def test_the_usual_words_are_understood_in_any_case(subset: str, words: str) -> None:
    assert {subset_named(word) for word in words.split()} == {subset}


@pytest.mark.parametrize("word", ["", "patient1", "trained", "tests1", "fold0", "images"])
def test_other_words_are_none(word: str) -> None:
    assert subset_named(word) is None
    assert not is_subset_word(word)


def test_eval_is_what_is_left_beside_the_others_and_refused_where_two_are_left() -> None:
    assert subsets_of(["train", "Eval", "test"], "data")["Eval"] == "validation"
    assert subsets_of(["train", "val", "evaluation"], "data")["evaluation"] == "test"
    with pytest.raises(UserError, match="data: eval may mean validation or test; rename it"):
        subsets_of(["train", "eval"], "data")


def test_two_folders_for_one_subset_are_refused() -> None:
    with pytest.raises(UserError, match="dev and val are the same subset"):
        subsets_of(["train", "dev", "val"], "data")
