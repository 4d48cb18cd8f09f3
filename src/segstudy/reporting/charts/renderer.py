"""The check that charts can be rendered: without enough address space the renderer ends the process."""

import logging
from functools import cache

import psutil

# Reserved, not used, by the JavaScript engine in vl-convert 1.9: 69 GB.
ADDRESS_SPACE_BYTES = 72 * 10**9
NOT_RENDERED = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="40" viewBox="0 0 640 40">'
    '<text x="8" y="24" font-family="sans-serif" font-size="13" fill="#888888">'
    "Not rendered: too little address space (ulimit -v) for the renderer of charts.</text></svg>"
)
log = logging.getLogger(__name__)


@cache
def can_draw() -> bool:
    """Whether this process may reserve the renderer's address space; if not, that is logged once."""
    try:
        import resource  # POSIX only
    except ImportError:
        return True
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = psutil.Process().memory_info().vms
    if allowed == resource.RLIM_INFINITY or allowed - taken >= ADDRESS_SPACE_BYTES:
        return True
    log.warning(
        f"the report is written without charts: their renderer reserves {ADDRESS_SPACE_BYTES / 1e9:.0f} GB "
        f"of address space and ulimit -v allows {allowed / 1e9:.0f}; `segstudy report` without that limit "
        "draws them"
    )
    return False
