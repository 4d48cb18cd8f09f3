"""What the headline is a mean of, and how masks are decided, in words: the one place for every task."""

from segstudy.core.outputs import Outputs

CLASS_SCORES = (
    "The IoU of a class is its mean over the images whose mask or prediction has it. Counted are "
    "the images whose mask has it."
)


def headline(outputs: Outputs) -> str:
    """Return the headline in full.

    >>> from segstudy.core.outputs import BINARY
    >>> headline(BINARY)
    'mean per-image IoU'
    >>> headline(Outputs("multiclass", ("background", "disc", "cup")))
    'mean per-image IoU over foreground classes'
    """
    return f"mean per-image IoU{over_classes(outputs)}"


def over_classes(outputs: Outputs) -> str:
    """Return what follows the name of a score that is a mean over classes; nothing in binary."""
    if outputs.task == "binary":
        return ""
    if len(outputs.scored) == 1:
        return f" of {outputs.names[outputs.scored[0]]}"
    return " over foreground classes" if len(outputs.scored) < len(outputs.names) else " over classes"


def of_foreground(outputs: Outputs) -> str:
    """Return the same where the foreground of two classes is named too."""
    return over_classes(outputs) or " of the foreground"


def decision(outputs: Outputs) -> str:
    """Return how a mask is decided from probabilities, as in ``IoU at native size, threshold .5``."""
    match outputs.task:
        case "binary":
            return "threshold .5"
        case "multiclass":
            return "the most probable class"
    return "threshold .5 for each class"


def score_meaning(outputs: Outputs) -> str:
    """Return what a mean test score is, as in ``test IoU at native size, threshold .5``."""
    return f"IoU{over_classes(outputs)} at native size, {decision(outputs)}"


def cut(outputs: Outputs) -> str:
    """Return the same after a comma, as in ``native size, cut at .5``."""
    return (
        decision(outputs)
        if outputs.task == "multiclass"
        else decision(outputs).replace("threshold", "cut at")
    )


def filled(text: str, outputs: Outputs) -> str:
    """Return the description of a metric with ``{cut}``, ``{missed}`` and ``{probability}`` filled in.

    >>> from segstudy.core.outputs import BINARY
    >>> filled("native size, {cut}", BINARY)
    'native size, cut at .5'
    """
    binary = outputs.task == "binary"
    words = {
        "{cut}": cut(outputs),
        "{missed}": "a missed lesion" if binary else "a class that only one of both has",
        "{probability}": "the foreground probability" if binary else "a class's probability",
    }
    for name, word in words.items():
        text = text.replace(name, word)
    return text


def absent_convention(outputs: Outputs) -> str:
    """Return what counts of a class that an image lacks, in a sentence; nothing in binary."""
    if outputs.task == "binary":
        return ""
    return (
        "Of an image those classes count that its mask or the prediction has; a class that only one of them "
        "has scores 0, and an image with none of them in both scores 1."
    )
