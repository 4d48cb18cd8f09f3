"""The record of a metric in the table of metrics, which describes it completely."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from segstudy.core.metric_names import Size

Takes = Literal["counts", "tuned_counts", "distances", "probabilities", "errors"]

Place = Literal["csv", "table", "report", "list", "card"]

EVERYWHERE: frozenset[Place] = frozenset({"csv", "table", "report", "list", "card"})
OFF_THE_TABLE = EVERYWHERE - {"table"}
NOWHERE: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of one predicted mask, or of its probabilities.

    Where there are several classes, it is of each class against the rest, and that of an image is the mean
    over the classes that are scored and present.

    Attributes:
        function: gives the score of one image.
        takes: what the function is given: ``counts``, the ``Confusion`` at threshold .5; ``tuned_counts``,
            the one at the threshold best on validation; ``distances``, the ``Distances`` of the boundaries;
            ``probabilities``, these and the true mask, ``(H, W)``, or where pixels are ignored those of all
            others in a row; or ``errors``, the ``Errors`` of the probabilities.
        title: what it is called where scores are listed one below the other.
        short: its name in a column's heading.
        name: in full, where a caption explains a short title; empty where the title says it.
        group: the heading that it shares with its neighbours in the report's leaderboard.
        heading: under that heading, where it is not the short name with its unit.
        help: what the heading says when asked.
        definition: a sentence for the report's list of numbers; neighbours with the same one share it. It may
            have the braces of ``core.score_words.filled``.
        unit: ``px``, ``%`` (the score is a fraction and is printed times 100), or none.
        digits: after the decimal point.
        report_digits: those in the report's leaderboard, where they are others.
        higher_is_better: the direction.
        lowest, highest: ends of an interval never lie beyond these.
        sizes: resolutions it is computed at.
        shown: ``csv``, the leaderboard in CSV and JSON; ``table``, in text, Markdown and LaTeX, and what
            ``segstudy score`` prints; ``report``, in the report; ``list``, scores on other data; ``card``,
            the model card.
        after: the metric that it follows wherever people read, if not the one before it in the table.
        tolerance: the field of the protocol that its scores depend on, a share of the image's diagonal;
            ``help`` and ``definition`` have its name in braces.
        default_tolerance: of that field in runs from before it existed.
        penalty: the metric that is 1 for an image whose value here is a penalty: one of its two masks is
            empty and the other is not.
        citation: a key of ``references.bib``.
        is_headline: whether it is the metric of selection, order, comparisons and learning curves; one is.
    """

    function: Callable[..., float]
    title: str
    short: str
    group: str
    takes: Takes = "counts"
    name: str = ""
    heading: str = ""
    help: str = ""
    definition: str = ""
    unit: Literal["", "px", "%"] = ""
    digits: int = 3
    report_digits: int | None = None
    higher_is_better: bool = True
    lowest: float = 0.0
    highest: float = 1.0
    sizes: tuple[Size, ...] = ("network", "native")
    shown: frozenset[Place] = EVERYWHERE
    after: str = ""
    tolerance: str = ""
    default_tolerance: float = 0.0
    penalty: str = ""
    citation: str = ""
    is_headline: bool = False

    @property
    def needs_probabilities(self) -> bool:
        """Whether the metric needs probabilities: a mask alone is not enough."""
        return self.takes in ("tuned_counts", "probabilities", "errors")

    def listed_title(self, protocol: Mapping[str, Any]) -> str:
        """Return the title with its unit, such as ``HD95 in px``, or with the tolerance of this protocol."""
        if self.tolerance:
            return f"{self.title} ({self._tolerance(protocol)})"
        return f"{self.title} in {self.unit}" if self.unit == "px" else self.title

    def stated(self, text: str, protocol: Mapping[str, Any]) -> str:
        """Return ``help`` or ``definition`` with the tolerance of this protocol."""
        return text.replace(f"{{{self.tolerance}}}", self._tolerance(protocol)) if self.tolerance else text

    def _tolerance(self, protocol: Mapping[str, Any]) -> str:
        return f"{100 * protocol.get(self.tolerance, self.default_tolerance):g} % of the diagonal"

    @property
    def report_heading(self) -> str:
        """Return the heading in the report's leaderboard, below that of the group, such as ``HD95 px``."""
        return self.heading or f"{self.short} {self.unit}".rstrip()

    @property
    def form(self) -> str:
        """Return the format specification, ``.3f`` or ``.1%``."""
        return f".{self.digits}{'%' if self.unit == '%' else 'f'}"

    def write(self, value: float) -> str:
        """Return a value with its unit, such as ``12.3 px``."""
        return f"{value:{self.form}}{' px' if self.unit == 'px' else ''}"
