"""The page and what belongs to it. Its links are relative, so that it works below any path.

With a prefix they are relative to that: a proxy that removes it may have had it without its last slash.
"""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

# Nothing but what this server sends itself: a page that talks to nobody else.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = {"": "index.html", **{name: name for name in ("page.css", "page.js", "masks.js")}}
PAGE_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def add_page(routes: APIRouter, prefix: str) -> None:
    """Add the page and its files.

    Args:
        routes: of the server.
        prefix: as ``Site.path_prefix``.
    """
    for path, name in PAGE.items():
        _add_file(routes, path, name, prefix)


def _add_file(routes: APIRouter, path: str, name: str, prefix: str) -> None:
    content = files("segstudy.deploy.serving").joinpath("page", name).read_text(encoding="utf-8")
    policy = PAGE_POLICY
    if prefix and not path:
        content = content.replace("<head>", f'<head>\n<base href="{prefix}/">', 1)
        policy = policy.replace("base-uri 'none'", "base-uri 'self'")
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    kind = PAGE_TYPES[name.rpartition(".")[2]]

    @routes.get(f"/{path}", include_in_schema=False)
    async def page() -> Response:
        return PlainTextResponse(content, media_type=kind, headers=headers)
