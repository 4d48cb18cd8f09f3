"""The corpus of hostile inputs, one family a test; `python tests/hostile.py` prints it as a table."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from corpus import Case, Corpus
from hostile import FAMILIES, all_cases


@pytest.fixture(scope="module")
def corpus(monkeypatch_module):
    """In a folder that any user may enter, because some cases run as another; pytest closes its own."""
    folder = Path(tempfile.mkdtemp())
    yield Corpus(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def monkeypatch_module():
    """The corpus sets variables for the processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SEGSTUDY_CACHE", "PYTHONPATH"):
            patch.setenv(name, "")
        yield patch


def wrongs(corpus: Corpus, cases: Iterable[Case]) -> list[str]:
    found = [corpus.run(case) for case in cases]
    return [f"{each.case.name}: {each.wrong}" for each in found if each.wrong]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_hostile_input_is_handled(corpus, family):
    assert not wrongs(corpus, family())


def test_the_corpus_is_large_and_its_names_tell_cases_apart():
    cases = all_cases()
    assert len(cases) >= 80
    assert len({(case.family, case.name) for case in cases}) == len(cases)
