"""The command that checks the data of a study, with the options that read them as the study does."""

import shlex

from segstudy.config.study import Study


def check_command(study: Study, data: str | None = None) -> str:
    """Return the call that lists the findings about a study's data.

    Args:
        study: says how images and masks are read.
        data: what stands for the data set's place, on pages that are shared.
    """
    words = ["segstudy", "check", study.data if data is None else data]
    if study.reader:
        words += ["--reader", study.reader]
    if study.protocol.foreground:
        words += ["--foreground", "+".join(map(str, study.protocol.foreground))]
    if study.protocol.classes:
        words += ["--classes", study.protocol.classes]
    if study.protocol.ignore:
        words += ["--ignore", "+".join(map(str, study.protocol.ignore))]
    if study.protocol.masks not in ("auto", "larger"):
        words += ["--masks", study.protocol.masks]
    if study.protocol.channels:
        words += ["--channels", str(study.protocol.channels)]
    if study.protocol.intensity not in ("auto", "full"):
        words += ["--intensity", study.protocol.intensity]
    return shlex.join(words)
