"""Retired words: the docs and the source use the field's words and plain English (docs/glossary.md).

Words count as whole words in any case, in identifiers too (``seed_receipt``, ``ReceiptFile``), and phrases
also across the end of a line. To retire a word, add it to ``RETIRED`` with the phrases in which it stays.
What is written about the past keeps its words: docs/LOG.md, CHANGELOG.md, docs/results and docs/decisions.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

import segstudy

SOURCE = Path(segstudy.__file__).parent
SOURCE_SUFFIXES = {".py", ".j2", ".html", ".js", ".css"}
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "runtime/README.md")),
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "LOG.md"),
]

# Each retired word or phrase, and the phrases with it that stay.
RETIRED: dict[str, tuple[str, ...]] = {
    "amid": (),
    "anew": (),
    "are to be had": (),
    "begun and saved": (),
    "board": (),
    "boards": (),
    "borne": (),
    "brought to that format": (),
    "call for": (),
    "calls for": (),
    "choose of": (),
    "drawn": ("drawn at random", "randomly drawn", "drawn by segstudy", "drawn-0007", "drawn-{index"),
    "embedded": (),
    "evidence": ("no evidence about real images",),
    "for good": (),
    "going on": (),
    "had to give way": (),
    "hand-me-down": (),
    "hence": (),
    "hitherto": (),
    "house": (),
    "is to be": (),
    "keep its promise": (),
    "keep their promise": (),
    "keeps its promise": (),
    "ladder": (),
    "likewise": (),
    "look after": (),
    "looks after": (),
    "makes no ensemble": (),
    "manieth": (),
    "mend": (),
    "mends": (),
    "no room or no right": (),
    "opening": (),
    "quicker still": (),
    "receipt": (),
    "receipts": (),
    "river": (),
    "rung": (),
    "runs side by side": (),
    "seam": (),
    "seams": (),
    "seen off": (),
    "stands in": (),
    "stranger": (),
    "strangers": (),
    "takes a free": (),
    "that is long": (),
    "thereof": (),
    "to be had": (),
    "trainings": (),
    "what stops us": (),
    "whereupon": (),
    "whoever": (),
    "whomever": (),
}

# Keys in stored files or in JSON that are spelled with a retired word: the phrase, and its only file.
STORED_KEYS = {
    '"strangers": first_of(unmatched)': "evaluation/external_masks.py",
    'records[0]["strangers"]': "cli/formatting.py",
    '{"has_training_noise": "trainings"}': "analysis/compare.py",
}


def pattern(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words; between them may be blanks, underscores, line ends and signs of comments."""
    words = r"[\s_#*/]+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<![a-z]){words}(?![a-z])", re.IGNORECASE)


def with_words_apart(text: str) -> str:
    """``ReceiptFile`` as ``Receipt_File``: the words of identifiers in camel case, on the same lines."""
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", text)


def retired_words(text: str, words: dict[str, tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """Line number and word of each retired word, without those in allowed phrases."""
    apart = with_words_apart(text)
    lower = apart.lower()
    for word, allowed in words.items():
        if word.split()[0] not in lower:
            continue
        rest = apart
        for phrase in allowed:
            rest = pattern(phrase).sub(lambda match: re.sub(r"\S", "-", match[0]), rest)
        for match in pattern(word).finditer(rest):
            yield rest.count("\n", 0, match.start()) + 1, word


def without_stored_keys(file: Path) -> str:
    """The text of a file without the stored keys that this file alone may name."""
    text = file.read_text(encoding="utf-8")
    for phrase, only in STORED_KEYS.items():
        if file == SOURCE / only:
            text = text.replace(phrase, "")
    return text


def report(files: list[Path], words: dict[str, tuple[str, ...]]) -> list[str]:
    return [
        f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}:{line}: {word!r} is retired"
        for file in files
        for line, word in sorted(retired_words(without_stored_keys(file), words))
    ]


def test_no_retired_word_is_in_the_docs():
    found = report(PAGES, RETIRED)
    assert not found, "\n".join(found)


def test_no_retired_word_is_in_the_source():
    files = sorted(file for file in SOURCE.rglob("*") if file.suffix in SOURCE_SUFFIXES)
    assert len(files) > 200
    found = report(files, RETIRED)
    assert not found, "\n".join(found)


def test_no_module_and_no_test_is_named_by_a_retired_word():
    files = [*SOURCE.rglob("*"), *(ROOT / "tests").rglob("*.py")]
    names = sorted({file.stem for file in files if "__pycache__" not in file.parts})
    assert not list(retired_words("\n".join(names), RETIRED))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("The Evidence", [1]),
        ("a\n_evidence_of(x)", [2]),
        ("class EvidencePage: ...", [1]),
        ("the leaderboard and the keyboard", []),
        ("# that keeps\n# its promise", [1]),
        ("drawn at\nrandom, and drawn by hand", [2]),
        ("inevident", []),
    ],
)
def test_words_are_found_whole_in_any_case_and_across_lines(text, lines):
    assert [line for line, _ in retired_words(text, RETIRED)] == lines


@pytest.mark.parametrize(("phrase", "file"), STORED_KEYS.items())
def test_a_key_spelled_with_a_retired_word_stays_in_one_file(phrase, file):
    """Once in this file; anywhere else the same word is found."""
    assert (SOURCE / file).read_text(encoding="utf-8").count(phrase) == 1
    assert list(retired_words(phrase, RETIRED))
