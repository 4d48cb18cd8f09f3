"""What a run of the tests left out, and how to install what was missing: its last lines."""

from collections import Counter
from collections.abc import Iterable

# What a reason for skipping says, and what helps. A reason that none fits stands as it is.
REMEDIES = {
    "no chromium": "install it (Debian: apt-get install chromium) or name one in SEGSTUDY_CHROMIUM",
    "playwright": "pip install playwright",
    "no real data": "name the folder with PH2 and ISIC-2017 in SEGSTUDY_DATA",
    "no PH2": "name the folder with PH2 and ISIC-2017 in SEGSTUDY_DATA",
    "strace": "install it (Debian: apt-get install strace)",
    "openvino": "pip install 'segstudy[openvino]'",
    "imagecodecs": "pip install 'segstudy[large]'",
    "onnx": "pip install 'segstudy[export]'",
}


def not_tested(reasons: Iterable[str]) -> list[str]:
    """A line for each reason: how many tests, why, and what to do; the most frequent first.

    Args:
        reasons: of every skipped test.
    """
    lines = []
    for reason, count in Counter(reason.removeprefix("Skipped: ") for reason in reasons).most_common():
        helps = next((help_ for word, help_ in REMEDIES.items() if word in reason), "")
        tests = "1 test" if count == 1 else f"{count} tests"
        lines.append(f"not tested ({tests}): {reason}" + (f"; {helps}" if helps else ""))
    return lines
