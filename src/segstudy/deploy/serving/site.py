"""The addresses of the server: below a path of a proxy, and from pages of other origins."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segstudy.core.errors import UserError

PATHS = (
    "health",
    "model",
    "segment",
    "openapi.json",
    "page.css",
    "page.js",
    "masks.js",
)  # of the server itself
_PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?", re.ASCII)
ANY = "*"


@dataclass(frozen=True)
class Site:
    """The addresses by which others reach the server.

    Attributes:
        path_prefix: that a proxy puts before each path, such as ``/segment-skin``; nothing without one.
        cors_origins: of the pages elsewhere that browsers let call the server; ``*`` for any.
    """

    path_prefix: str = ""
    cors_origins: tuple[str, ...] = ()

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may call."""
        return ANY in self.cors_origins or origin in self.cors_origins


ALONE = Site()


def site_of(path_prefix: str = "", cors_origins: Sequence[str] = (), has_token: bool = False) -> Site:
    """A site, checked and in one spelling.

    Raises:
        UserError: no path, no origin, or any origin without a token.
    """
    origins = [cors_origins] if isinstance(cors_origins, str) else cors_origins
    listed = [each.strip() for text in origins for each in text.split(",") if each.strip()]
    return Site(_prefix(path_prefix), tuple(dict.fromkeys(_origin(each, has_token) for each in listed)))


def _prefix(text: str) -> str:
    prefix = "/" + text.strip().strip("/")
    if prefix == "/":
        return ""
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise UserError(
            f"--path-prefix must be a path such as /skin or /tools/skin (letters, digits and -_.~), "
            f"got {text!r}"
        )
    if prefix[1:] in PATHS:
        raise UserError(f"--path-prefix {prefix}: is a path of the server itself; choose another one")
    return prefix


def _origin(text: str, has_token: bool) -> str:
    if text == ANY:
        if has_token:
            return ANY
        raise UserError(
            "--cors-origin *: without a token every page in your browser could use this server; set "
            "SEGSTUDY_TOKEN, or name the origins"
        )
    origin = text.removesuffix("/").lower()
    if not _ORIGIN.fullmatch(origin):
        raise UserError(
            "--cors-origin must be an origin such as https://lab.example or http://localhost:3000, got "
            f"{text!r}"
        )
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")


def is_foreign(headers: Mapping[bytes, bytes], site: Site) -> bool:
    """Whether a browser says that a page of another origin sends this, and that page is not allowed to.

    A form is sent by any page without asking first; its answer is kept from the page, but the work is done.
    """
    origin = headers.get(b"origin", b"").decode("latin-1")
    return headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site") and not site.allows(origin)
