"""The corpus of hostile inputs, one family a test; `python tests/hostile.py` prints it as a table."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from corpus import MAX_SECONDS, Case, Corpus
from hostile import FAMILIES, all_cases

PER_FAMILY = 5  # at most, of the cases that run always


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


def few(family) -> list[Case]:
    """Cases from the whole of a family: each third, say. Those that train are left out, or all but one."""
    cases = list(family())
    light = [case for case in cases if case.most_s == MAX_SECONDS and not case.as_nobody] or cases[:1]
    return light[:: -(-len(light) // PER_FAMILY)]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_hostile_input_of_each_family_is_handled(corpus, family):
    assert not wrongs(corpus, few(family))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_hostile_input_is_handled(corpus, family):
    assert not wrongs(corpus, family())


def test_the_corpus_is_large_and_its_names_tell_cases_apart():
    cases = all_cases()
    assert len(cases) >= 80
    assert len({(case.family, case.name) for case in cases}) == len(cases)
