"""One S3-protocol server for all tests, a proxy before it, and a bucket for each test."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archiver.remote.patience import Patience
from tests.remote.faults import Plan, Proxy

QUICK = Patience(attempts=10, first_seconds=0.01, longest_seconds=0.1)
NUMBERS = itertools.count(1)


@dataclass
class Store:
    """A bucket, and how to see it without the proxy."""

    url: str
    filesystem: Any
    proxy: Proxy
    environment: dict[str, str]

    def files(self, below: str = "") -> dict[str, bytes]:
        """What the server holds, without asking it by its protocol."""
        from moto.s3.models import s3_backends

        bucket, start = self.url.removeprefix("s3://"), f"{below}/" if below else ""
        keys = s3_backends["123456789012"]["aws"].buckets[bucket].keys
        return {name[len(start) :]: keys[name].value for name in list(keys) if name.startswith(start)}

    def plan(self, **fields: Any) -> Plan:
        self.proxy.plan = Plan(**fields)
        return self.proxy.plan


@pytest.fixture(scope="session")
def proxy() -> Iterator[Proxy]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Proxy(server.get_host_and_port()[1])
    yield proxy
    proxy.close()
    server.stop()


@pytest.fixture
def store(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A fresh bucket; `archiver` finds the server by its environment, as a user's does."""
    import s3fs

    environment = {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "made-up-for-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_MAX_ATTEMPTS": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)  # its pauses are long; ours are what is tried here
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    direct = s3fs.S3FileSystem(endpoint_url=f"http://127.0.0.1:{proxy.upstream}", use_listings_cache=False)
    bucket = f"bucket-{os.getpid()}-{next(NUMBERS)}"
    direct.mkdir(bucket)
    proxy.plan = Plan()
    yield Store(f"s3://{bucket}", direct, proxy, environment)
    proxy.plan = Plan()


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but what is being written."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".tmp-"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def command(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What a command says; run in this process, since starting one for each takes most of the time."""
    from archiver.cli.main import main

    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(each) for each in arguments])
    said = "".join(capsys.readouterr())
    assert end.value.code == code, said
    return said


def put(store: Store, name: str, data: bytes = b"x") -> None:
    """An object of any name."""
    store.filesystem.call_s3("put_object", Bucket=store.url.removeprefix("s3://"), Key=name, Body=data)
