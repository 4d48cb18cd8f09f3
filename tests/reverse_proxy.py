"""A reverse proxy in a thread: one path of its site is another server's, all else is not there."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Of one connection alone, so that a proxy does not pass them on (RFC 9110, 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length"}


class Proxy(threading.Thread):
    """What lies below ``prefix`` comes from the server at ``url``.

    Attributes:
        url: of the proxy's site, without a slash at the end.
        missing: paths that were asked for outside of the prefix.
    """

    def __init__(self, url: str, prefix: str, keeps_prefix: bool):
        super().__init__(daemon=True)
        self.missing: list[str] = []
        target = urlsplit(url).netloc
        outside = self.missing

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != prefix and not self.path.startswith((f"{prefix}/", f"{prefix}?")):
                    outside.append(self.path)
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                passed = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                server = http.client.HTTPConnection(target, timeout=60)
                path = self.path if keeps_prefix else self.path.removeprefix(prefix) or "/"
                server.request(self.command, path, body or None, passed)
                answer = server.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                server.close()

            do_POST = do_GET  # noqa: N815 (http.server calls it so)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.start()

    def run(self) -> None:
        self._server.serve_forever(0.05)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.join()
