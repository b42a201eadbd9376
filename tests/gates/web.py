"""A web server on loopback as mirrors are: with Range and If-Range, an ETag, and whatever goes wrong on the way."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
import time
from pathlib import Path
from types import TracebackType


class WebServer:
    """Serves the files below `root`; `url` is the first one's, all.zip.

    break_after: bytes of a body after which the connection is cut, once. ranges: understands Range. validators: sends
    an ETag, a weak one if `weak`. pace: seconds between blocks of 64 KiB. asked: (path, Range header) of every request.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.break_after: int | None = None
        self.ranges = self.validators = True
        self.weak = False
        self.pace = 0.0
        self.asked: list[tuple[str, str]] = []
        self.sent = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.base}/all.zip"

    def __enter__(self) -> WebServer:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append((request.path, request.headers.get("Range", "")))
        try:
            body = (self.root / request.path.lstrip("/")).read_bytes()
        except OSError:
            request.send_error(404)
            return
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.validators and request.headers.get("If-None-Match") == etag:
            request.send_response(304)
            request.end_headers()
            return
        start = self._start(request, etag)
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.validators:
            request.send_header("ETag", f"W/{etag}" if self.weak else etag)
        request.end_headers()
        self._send(request, body[start:])

    def _start(self, request: http.server.BaseHTTPRequestHandler, etag: str) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if not wanted or not self.ranges or request.headers.get("If-Range", etag) != etag:
            return 0
        return int(wanted[1])

    def _send(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        stop, self.break_after = self.break_after, None
        sent = 0
        try:
            for begin in range(0, len(body), 1 << 16):
                block = body[begin : begin + (1 << 16)]
                if stop is not None and begin + len(block) > stop:
                    request.wfile.write(block[: stop - begin])
                    request.close_connection = True
                    return
                request.wfile.write(block)
                sent += len(block)
                self.sent = sent
                time.sleep(self.pace)
        except OSError:  # the other side died, which some tests want
            request.close_connection = True
