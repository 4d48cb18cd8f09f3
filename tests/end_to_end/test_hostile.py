"""The corpus of hostile inputs, one family a test; `python tests/hostile.py` prints it as a table."""

import pytest
from corpus import Corpus
from hostile import FAMILIES, all_cases


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, monkeypatch_module):
    """In a folder that any user may enter: some cases run as another."""
    folder = tmp_path_factory.mktemp("corpus")
    for each in (folder, *folder.parents[:3]):
        each.chmod(0o755)
    return Corpus(folder)


@pytest.fixture(scope="module")
def monkeypatch_module():
    """The corpus sets variables for the processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SEGSTUDY_CACHE", "PYTHONPATH"):
            patch.setenv(name, "")
        yield patch


# Those of seconds run always, the others in `make test-long`.
QUICK = ("command_lines", "masks", "model_files")


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, id=family.__name__, marks=() if family.__name__ in QUICK else pytest.mark.slow)
        for family in FAMILIES
    ],
)
def test_every_hostile_input_is_handled(corpus, family):
    found = [corpus.run(case) for case in family()]
    assert not [f"{each.case.name}: {each.wrong}" for each in found if each.wrong]


def test_the_corpus_is_large_and_its_names_tell_cases_apart():
    cases = all_cases()
    assert len(cases) >= 80
    assert len({(case.family, case.name) for case in cases}) == len(cases)
