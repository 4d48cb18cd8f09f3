"""Between the server and its routes: HEAD for every GET, one slash more at the end, and a proxy's prefix."""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Paths:
    """The middleware.

    The prefix may come with the request, or the proxy may have removed it. Below it the page lies at
    ``prefix/``: without the last slash its relative links would lead elsewhere.
    """

    def __init__(self, app: ASGIApp, prefix: str):
        self.app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, is_head = scope["path"], scope["method"] == "HEAD"
        if self.prefix and path == self.prefix and scope["method"] in ("GET", "HEAD"):
            await RedirectResponse(f"{self.prefix}/", 308)(scope, receive, send)
            return
        if path.endswith("/") and path not in ("/", f"{self.prefix}/"):
            path = path.rstrip("/") or "/"

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(name, _allowed(name, value)) for name, value in message["headers"]]
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        changed = {**scope, "path": path, "method": "GET" if is_head else scope["method"]}
        await self.app(changed, receive, answered)


def _allowed(name: bytes, value: bytes) -> bytes:
    """The header Allow with HEAD in it, others as they are."""
    methods = [each.strip() for each in value.split(b",")] if name == b"allow" else []
    return b"GET, HEAD" if methods == [b"GET"] else value
