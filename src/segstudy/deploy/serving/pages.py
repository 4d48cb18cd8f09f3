"""The page and what belongs to it. Its links are relative, so that it works below any path."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

# Nothing but what this server sends itself: a page that talks to nobody else.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
PAGE_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def add_page(routes: APIRouter) -> None:
    """Add the page and its files."""
    for path, name in PAGE.items():
        _add_file(routes, path, name)


def _add_file(routes: APIRouter, path: str, name: str) -> None:
    content = files("segstudy.deploy.serving").joinpath("page", name).read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    kind = PAGE_TYPES[name.rpartition(".")[2]]

    @routes.get(f"/{path}", include_in_schema=False)
    async def page() -> Response:
        return PlainTextResponse(content, media_type=kind, headers=headers)
