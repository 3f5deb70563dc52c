"""An S3 server of this machine, in a process of its own that ends with the tests; each lake has a bucket of its own.

With `TEST_S3_URL` the tests go to the server there instead, by the credential that `AWS_ACCESS_KEY_ID` and
`AWS_SECRET_ACCESS_KEY` are, through a forwarder that logs the requests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from conftest import Lake, assert_laws

from src import store

ELSEWHERE = os.environ.get("TEST_S3_URL")
CREDENTIAL = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "not-to-be-seen"}
if ELSEWHERE:
    CREDENTIAL = {name: os.environ[name] for name in CREDENTIAL}
# by itself: within this process a library that waits for the server without letting Python go on would wait forever
_SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer

logging.basicConfig(filename=sys.argv[1], level=logging.INFO, format="%(name)s %(message)s")
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()  # until whoever started it is gone
"""


@dataclass
class BucketLake(Lake):
    """A project whose lake is in a bucket."""

    @property
    def data(self) -> Path:
        return store.location(self.environ["DATA_DIR"])


def requests_to(server: dict[str, str]) -> int:
    """How many requests a server had so far, whichever library made them."""
    lines = Path(server["LOG_OF_S3"]).read_text().splitlines()
    return sum(line.startswith("werkzeug 127.0.0.1 - - ") for line in lines)


def was_written(folder: Path, server: dict[str, str]) -> bool:
    """Whether an object below a folder was ever written."""
    return f"PUT /{str(folder).removeprefix(store.SCHEME)}/" in Path(server["LOG_OF_S3"]).read_text()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the environment says of a server that is up."""
    log = tmp_path_factory.mktemp("s3") / "requests.log"
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    program = [sys.executable, "-c", _SERVER, str(log)]
    if ELSEWHERE:
        program = [sys.executable, str(Path(__file__).with_name("s3_forwarder.py")), str(log), ELSEWHERE]
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, stderr=nowhere, text=True) as server:
        assert server.stdout and server.stdin
        endpoint = server.stdout.readline().strip()
        try:
            yield {
                "LOG_OF_S3": str(log),
                "AWS_ENDPOINT_URL": endpoint,
                **CREDENTIAL,
                "AWS_REGION": os.environ.get("AWS_REGION", "eu-west-1") if ELSEWHERE else "eu-west-1",
                "AWS_ALLOW_HTTP": "true",
            }
        finally:
            server.kill()


@pytest.fixture
def bucket_lake(
    tmp_path: Path, s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[BucketLake]:
    """An empty project whose lake is in a bucket; when the test is over, every law must hold on what it left."""
    made = new_bucket_lake(tmp_path / "with-a-bucket", s3_server, monkeypatch)
    data = made.data
    yield made
    if store.is_folder(data / "bronze"):
        assert_laws(made, request.node)


def new_bucket_lake(root: Path, server: dict[str, str], patch: pytest.MonkeyPatch) -> BucketLake:
    """Make an empty project whose lake is in a bucket of its own."""
    environ = {**server, "XDG_CACHE_HOME": str(root / "cache")}
    for name, value in environ.items():
        patch.setenv(name, value)
    (root / "src" / "silver").mkdir(parents=True)
    (root / "src" / "gold").mkdir()
    bucket = f"lake-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(bucket)
    return BucketLake(root, {**environ, "DATA_DIR": f"s3://{bucket}/house/lake"})
