"""The content of a folder, to compare it before and after."""

import hashlib
import json
from pathlib import Path


def tree(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file, and what every link leads to, by path."""
    return {
        str(path.relative_to(folder)): (
            f"link to {path.readlink()}"
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def merged_tree(folder: Path) -> dict[str, str]:
    """The same of a merged study, of merged.json without the time."""
    found = tree(folder)
    if (folder / "merged.json").is_file():
        record = json.loads((folder / "merged.json").read_text(encoding="utf-8"))
        found["merged.json"] = json.dumps({n: v for n, v in record.items() if n not in ("written", "seal")})
    return found
