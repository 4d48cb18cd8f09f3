"""Numbers as a person reads them."""

import ast

import pytest
from import_graph import MODULES, parsed

from segstudy.core.quantities import counted_kind, counted_kinds, percent, size


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (1, "empty mask", "1 empty mask"),
        (3, "empty mask", "3 empty masks"),
        (15, "inverted mask suspected", "15 inverted masks suspected"),
        (2, "near-duplicate images", "2 near-duplicate images"),
        (1, "near-duplicate images", "near-duplicate images"),
        (2, "EXIF rotation", "2 EXIF rotations"),
        (2, "size mismatch", "2 size mismatches"),
        (1, "no metadata", "no metadata"),
        (1, "most masks empty", "most masks empty"),
        (2, "group in several parts", "2 groups in several parts"),
        (1234, "unpaired image", "1,234 unpaired images"),
        (4, "in no part", "4 in no part"),
    ],
)
def test_findings_are_counted_by_what_they_are_about(number: int, kind: str, text: str) -> None:
    assert counted_kind(number, kind) == text


def test_kinds_are_listed_with_their_numbers_the_most_frequent_first() -> None:
    assert counted_kinds(["empty mask", "full mask", "full mask"]) == ("2 full masks", "1 empty mask")


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        *((0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (999.7, "1 KB"), (640_000, "640 KB")),
        *((999_499, "999 KB"), (999_500, "1 MB"), (12_400_000, "12 MB"), (999_500_000, "1.0 GB")),
    ],
)
def test_small_sizes_are_not_zero_and_large_ones_are_short(num_bytes: float, text: str) -> None:
    assert size(num_bytes) == text


@pytest.mark.parametrize(
    ("frac", "digits", "text"),
    [(0.12, 0, "12 %"), (0.145, 1, "14.5 %"), (1.0, 0, "100 %"), (0.0, 2, "0.00 %")],
)
def test_percent(frac, digits, text):
    assert percent(frac, digits) == text


def test_no_sentence_writes_percent_in_another_way():
    """``f"{share:.0%}"`` gives ``12%``; ``percent`` gives ``12 %``, as everywhere else."""
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                form = ast.unparse(node.format_spec).strip("f'\"")
                assert not form.endswith("%"), f"{module}:{node.lineno}: use core.quantities.percent"
