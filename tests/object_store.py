"""An S3 server on this machine, and reading what was published there."""

import contextlib
import re
from collections.abc import Iterator

import pytest
import requests

from pipeline.published_set import newest
from pipeline.shared_files import ObjectFiles

BUCKET = "sets"


@contextlib.contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """A server with an empty bucket, for the time of the block: the variables that say where it lies.

    This process has them too.
    """
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "testing",
                 "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        # Servers of one process share their buckets.
        requests.post(f"{variables['AWS_ENDPOINT_URL']}/moto-api/reset", timeout=60).raise_for_status()
        ObjectFiles(f"s3://{BUCKET}").system.mkdir(BUCKET)
        yield variables
    server.stop()


def published_bytes(address: str) -> dict[str, bytes]:
    """The shards of the newest data set, under the names that they have in a folder."""
    objects = ObjectFiles(address)
    return {re.sub(r"\.g\d+-\w+", "", file["path"]): objects.read(file["path"])
            for file in newest(objects).manifest["files"]}
