"""Colours of classes, in masks, overlays, charts and pages: told apart by readers with any colour vision."""

# Okabe and Ito (2008), then the muted set of Tol (2021). Black is the background's.
COLOURS = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#882255", "#44aa99", "#999933", "#332288", "#ddcc77", "#117733", "#aa4499", "#88ccee"),
)
BACKGROUND, IGNORED = "#000000", "#808080"


def colour_of(number: int, is_background: bool = False) -> str:
    """Return the colour of the class of this number as #rrggbb; after the last the first comes again."""
    return BACKGROUND if is_background else COLOURS[number % len(COLOURS)]


def rgb_of(number: int, is_background: bool = False) -> tuple[int, int, int]:
    """Return the same as 8-bit red, green and blue."""
    red, green, blue = bytes.fromhex(colour_of(number, is_background)[1:])
    return red, green, blue
