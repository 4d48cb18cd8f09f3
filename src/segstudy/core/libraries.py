"""Libraries that would send or write something unasked: imported here only, with that kept out.

segstudy sends nothing anywhere, and writes nothing but what a command is for and its cache.
"""

import os
import sys
from typing import Any

from segstudy.core.cache import cache_folder

TELEMETRY = "openvino_telemetry"

# ONNX Runtime reads it when it is loaded, by whomever: PyTorch's exporter loads it too. Without it the builds
# of 1.32 ask for an address, and keep an id of the device in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def openvino() -> Any:
    """OpenVINO, without its telemetry.

    Its import would count itself: a package beside it reports to an analytics host and keeps a client id in
    the home folder (2026.4.1 with openvino_telemetry 2025.2). Where that package is missing OpenVINO takes a
    replacement of its own that does nothing; so it is missing, for as long as the import lasts.

    Raises:
        ImportError: it is not installed.
    """
    if "openvino" in sys.modules:  # somebody else's import, on which telemetry is theirs to decide
        import openvino as library

        return library
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == TELEMETRY}
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino as library

        return library
    finally:
        del sys.modules[TELEMETRY]
        sys.modules.update(hidden)


def onnxruntime() -> Any:
    """ONNX Runtime, without its telemetry, here and where its builds for Windows hand events to the system.

    Raises:
        ImportError: it is not installed.
    """
    import onnxruntime as library

    library.disable_telemetry_events()
    return library


def scikit_posthocs() -> Any:
    """The rank tests; Matplotlib, which they import, keeps its list of fonts in our cache, not at home."""
    if os.environ.get("MPLCONFIGDIR") or "matplotlib" in sys.modules:
        import scikit_posthocs as library

        return library
    os.environ["MPLCONFIGDIR"] = str(cache_folder() / "matplotlib")
    try:
        import scikit_posthocs as library

        return library
    finally:
        del os.environ["MPLCONFIGDIR"]  # what others import later is theirs
