"""The sentences on how runs were trained."""

from segstudy.config.protocol import Protocol
from segstudy.reporting.procedure import procedure, to_native

TILES = Protocol(image_size=128, resize="tiles", channels=4)


def test_images_that_are_not_resized() -> None:
    found = procedure([TILES])
    assert "resized to" not in found
    assert "of 4 channels" in found
    assert "were not resized: networks were trained on random tiles of 128 × 128 pixels" in found
    assert "overlap by at least 32 pixels, were blended" in found


def test_studies_that_compare_both() -> None:
    found = procedure([Protocol(image_size=64), TILES.model_copy(update={"overlap": 16}), TILES])
    assert "were resized to 64 × 64 pixels (squash). In other runs they were not resized" in found
    assert "at least 16 or 32 pixels" in found


def test_probabilities_get_to_the_size_of_the_images() -> None:
    assert to_native([Protocol()]) == "resized back to"
    assert to_native([TILES]) == "blended at"
    assert to_native([Protocol(), TILES]) == "resized back to or blended at"
