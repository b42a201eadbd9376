"""What stands where AWS would: moto's server as a process, and a server that refuses in AWS's own formats."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests

ACCOUNT = "123456789012"  # moto's
OTHER = "210987654321"
REGION = "eu-central-1"
STS = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::{account}:assumed-role/deploy/ann</Arn><UserId>AROAEXAMPLE:ann</UserId><Account>{account}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
QUERY_ERROR = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>{code}</Code><Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"""
S3_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>r-1</RequestId></Error>"


@contextlib.contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """moto's server as a process of its own on a free port of loopback; its address."""
    log = folder / "moto.log"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    words = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=out, env=env) as it:
        try:
            yield _address(log)
        finally:
            it.terminate()


def _address(log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if "Running on http://127.0.0.1:" in line:
                return line.rpartition(" ")[2].strip()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def reset(moto: str) -> None:
    requests.post(f"{moto}/moto-api/reset", timeout=10).raise_for_status()


class Aws:
    """Refuses every request in the format of the service that was asked, as AWS does; asked: what it was asked.

    identity: whether GetCallerIdentity is refused too; else it answers with `account`.
    """

    def __init__(self, code: str, message: str, status: int = 400, identity: bool = False) -> None:
        self.code, self.message, self.status, self.identity = code, message, status, identity
        self.account = ACCOUNT
        self.asked: list[str] = []

    def __enter__(self) -> Aws:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body at once: Go's client gives up on a body that comes later

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
                outer._answer(self, body)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, request: http.server.BaseHTTPRequestHandler, body: str) -> None:
        target = request.headers.get("X-Amz-Target", "")
        action = target.rpartition(".")[2] or body.partition("Action=")[2].partition("&")[0] or request.path
        self.asked.append(action)
        said = {"code": self.code, "message": self.message}
        if action == "GetCallerIdentity" and not self.identity:
            return _send(request, 200, "text/xml", STS.format(account=self.account))
        if target:
            answer = json.dumps({"__type": self.code, "message": self.message})
            return _send(request, self.status, "application/x-amz-json-1.1", answer)
        if "Action=" in body:
            return _send(request, self.status, "text/xml", QUERY_ERROR.format(**said))
        if "s3" in request.headers.get("Authorization", ""):
            return _send(request, self.status, "application/xml", S3_ERROR.format(**said))
        return _send(request, self.status, "application/json", json.dumps({"message": self.message}), self.code)


def _send(request: http.server.BaseHTTPRequestHandler, status: int, kind: str, text: str, error: str = "") -> None:
    body = b"" if request.command == "HEAD" else text.encode()
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    if error:
        request.send_header("x-amzn-ErrorType", error)
    request.end_headers()
    request.wfile.write(body)
