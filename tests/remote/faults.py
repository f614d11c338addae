"""A proxy on loopback that spoils some of what passes through it, as networks and servers do."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("drop", "lost answer", "500", "503", "slow", "cut short", "cut short unseen", "bit flip")


@dataclass
class Plan:
    """Which requests are spoiled: those of `methods`, with `share` as probability, `left` of them in all."""

    share: float = 0.0
    left: int = 0
    methods: tuple[str, ...] = ("PUT", "POST")
    kinds: tuple[str, ...] = FAULTS
    seed: int = 0
    is_down: bool = False
    """Every request is dropped."""
    only: str = ""
    """Only requests whose path has this in it."""
    done: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bytes_out: int = 0
    """Of the bodies of answers."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def choose(self, method: str, path: str) -> str | None:
        with self.lock:
            self.requests.append((method, path))
            if self.is_down:
                return "drop"
            if method not in self.methods or self.left <= 0 or self.only not in path:
                return None
            if self.random.random() >= self.share:
                return None
            self.left -= 1
            kind = self.random.choice(self.kinds)
            self.done[kind] += 1
            return kind


class Proxy:
    """Stands between a client and a server on loopback."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.plan = Plan()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def any_method(self) -> None:
                proxy.pass_on(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = any_method

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def pass_on(self, client: BaseHTTPRequestHandler) -> None:
        kind = self.plan.choose(client.command, client.path)
        length = int(client.headers.get("Content-Length") or 0)
        if kind == "drop":
            client.rfile.read(self.plan.random.randrange(length + 1) if length else 0)
            hang_up(client)
            return
        body = client.rfile.read(length)
        if kind in ("500", "503"):
            answer(client, int(kind), {}, b"<Error><Code>InternalError</Code></Error>")
        elif kind == "cut short" and body:
            hang_up(client)
        else:
            self.answer_spoiled(client, kind, self.ask(client, self.spoiled(body, kind)))

    def spoiled(self, data: bytes, kind: str | None) -> bytes:
        if kind == "slow":
            time.sleep(self.plan.random.uniform(0.02, 0.3))
        if data and kind == "cut short unseen":
            return data[: len(data) // 2]
        if data and kind == "bit flip":
            at = self.plan.random.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        return data

    def answer_spoiled(
        self, client: BaseHTTPRequestHandler, kind: str | None, found: tuple[int, dict[str, str], bytes]
    ) -> None:
        status, headers, data = found
        self.plan.bytes_out += len(data)
        if kind == "lost answer":
            hang_up(client)
        elif client.command == "GET" and kind == "cut short":
            answer(client, status, headers, data[: len(data) // 2], len(data))
            hang_up(client)
        elif client.command == "GET" and "list-type" not in client.path:  # a listing is XML, and travels under TLS
            answer(client, status, headers, self.spoiled(data, kind))
        else:
            answer(client, status, headers, data)

    def ask(self, client: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        headers = {
            name: value for name, value in client.headers.items() if name.lower() not in ("connection", "expect")
        }
        headers["Content-Length"] = str(len(body))
        connection.request(client.command, client.path, body, headers)
        response = connection.getresponse()
        data = response.read()
        found = dict(response.getheaders())
        connection.close()
        if client.command != "HEAD":
            found.pop("Content-Length", None)
        found.pop("Transfer-Encoding", None)
        return response.status, found, data


def answer(
    client: BaseHTTPRequestHandler, status: int, headers: dict[str, str], data: bytes, length: int | None = None
) -> None:
    with contextlib.suppress(OSError):
        client.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "content-length") or client.command == "HEAD":
                client.send_header(name, value)
        if client.command != "HEAD":
            client.send_header("Content-Length", str(len(data) if length is None else length))
        client.end_headers()
        client.wfile.write(data)
        client.wfile.flush()


def hang_up(client: BaseHTTPRequestHandler) -> None:
    client.close_connection = True
    with contextlib.suppress(OSError):
        client.connection.shutdown(socket.SHUT_RDWR)
