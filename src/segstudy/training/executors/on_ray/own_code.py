"""Files of a user's own networks and losses, on their way to a machine that does not have them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segstudy.core.paths import inside
from segstudy.core.source_files import source_files
from segstudy.core.sums import parse_sum

KINDS = ("architecture", "loss")
Files = dict[str, bytes]


def own_code(configuration: Any) -> dict[str, tuple[str, Files]]:
    """Return the user's own files that a configuration names.

    Returns:
        For ``architecture`` and ``loss``, if it is from a user's file: its name without the folder, and the
        content of the file and of the modules beside it that it imports, by their paths from that folder.
    """
    found = {}
    for kind in KINDS:
        component = parse_sum(getattr(configuration, kind))
        if component.file is not None:
            files = source_files(component.file)
            folder = component.file.parent
            found[kind] = (
                str(component),
                {file.relative_to(folder).as_posix(): file.read_bytes() for file in files},
            )
    return found


def placed(code: Mapping[str, tuple[str, Files]], folder: Path) -> dict[str, str]:
    """Write the files below a folder and return how the components are spelled there.

    Files of one content are always in the same place.
    """
    spelled = {}
    for kind, (title, files) in code.items():
        content = hashlib.sha256()
        for name, data in sorted(files.items()):
            content.update(f"{name} {len(data)} ".encode() + data)
        place = folder / content.hexdigest()[:16]
        for name, data in files.items():
            file = inside(place, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        spelled[kind] = f"{place}/{title}"
    return spelled
