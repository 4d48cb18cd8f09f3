"""Libraries that would send or write something unasked: imported only here, where that is prevented.

segstudy sends nothing anywhere, and writes nothing but what a command is for and its cache.
"""

import os
import sys
from importlib.util import find_spec
from typing import Any

TELEMETRY = "openvino_telemetry"
SKIP_LINES = "RAY_DEDUP_LOGS_SKIP_REGEX"

# ONNX Runtime reads it when it is loaded, also by PyTorch's exporter. Without it the builds of 1.32 resolve
# a host name, and keep an id of the device in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def not_installed(*packages: str) -> list[str]:
    """Return those packages, by their import names, that are not installed; imports none."""
    return [name for name in packages if find_spec(name) is None]


def openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Its import is counted: the package openvino_telemetry reports to an analytics host and keeps a client id
    in the home folder (2026.4.1 with openvino_telemetry 2025.2). Without that package OpenVINO uses a
    replacement that does nothing; so the package is hidden during the import.

    Raises:
        ImportError: it is not installed.
    """
    if "openvino" in sys.modules:  # imported by other code, which decides on telemetry itself
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
    """Import ONNX Runtime without its telemetry, also that of its builds for Windows.

    Raises:
        ImportError: it is not installed.
    """
    import onnxruntime as library

    library.disable_telemetry_events()
    return library


def ray() -> Any:
    """Import Ray without its statistics of usage, which each cluster that it starts would send every hour.

    Raises:
        ImportError: it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # GPUs that a process was given stay as they are if it asks for none; without this, Ray warns.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "ray" in sys.modules or SKIP_LINES in os.environ:
        import ray as library

        return library
    os.environ[SKIP_LINES] = "^"  # matches all that Ray prints to standard output about its machines
    try:
        import ray as library

        return library
    finally:
        del os.environ[SKIP_LINES]  # of programs that this one starts, nothing is hidden
