"""Numbers as a person reads them."""

import pytest

from segstudy.core.quantities import counted_kind, counted_kinds


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
