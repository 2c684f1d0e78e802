"""Copies in a bucket: a real server of the same interface, a process on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import pytest
import treq
from support.responding import ensure_deferred
from twisted.internet.defer import CancelledError

from wiredaemon.net.cache.targets import Target
from wiredaemon.net.cache.uploaders import HttpClient, S3Uploader, make_uploader
from wiredaemon.wire.values import CBOR_MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

boto3 = pytest.importorskip("boto3")


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The URL of the service, which has a bucket that everybody may read."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        found = (
            re.search(r"Running on (http://127\.0\.0\.1:\d+)", line) for line in process.stderr
        )
        url = next(match[1] for match in found if match)
        yield url
        process.terminate()
        process.stderr.read()


@pytest.fixture
def bucket(service: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = boto3.client("s3", endpoint_url=service, region_name="us-east-1")
    client.create_bucket(Bucket="hg-answers", ACL="public-read")
    return client


def target_of(service: str, bucket: str = "hg-answers") -> Target:
    return Target(
        name="s3",
        url=f"{service}/{bucket}/answers/",
        upload=f"s3://{bucket}/answers/",
        endpoint_url=service,
        region="us-east-1",
    )


def parts() -> tuple[Any, HttpClient]:
    from twisted.internet import reactor  # noqa: PLC0415 installed by pytest-twisted

    return reactor, HttpClient(reactor)


@ensure_deferred
async def test_an_object_in_a_bucket_is_what_clients_fetch(service: str, bucket: Any) -> None:
    reactor, client = parts()
    target = target_of(service)
    uploader = make_uploader(target, client, reactor, b"text/x-made")
    assert isinstance(uploader, S3Uploader)
    content = bytes(range(256)) * 5000
    file = TemporaryFile()  # noqa: SIM115 given away
    file.write(content)
    file.seek(0)
    assert await client.size_of(target.url + "key") is None
    await uploader.put("key", file, len(content))
    assert file.closed
    assert await client.size_of(target.url + "key") == len(content)
    stored = bucket.get_object(Bucket="hg-answers", Key="answers/key")
    assert stored["ContentType"] == "text/x-made"
    assert stored["Body"].read() == content
    bucket.put_object_acl(Bucket="hg-answers", Key="answers/key", ACL="public-read")
    response = await treq.get(f"{target.url}key")
    assert await treq.content(response) == content


@ensure_deferred
async def test_a_bucket_that_is_not_there_is_a_failure(service: str, bucket: Any) -> None:
    reactor, client = parts()
    assert bucket is not None
    uploader = make_uploader(target_of(service, "missing"), client, reactor, CBOR_MEDIA_TYPE)
    file = BytesIO(b"content")
    with pytest.raises(Exception, match="NoSuchBucket"):
        await uploader.put("key", file, 7)
    assert file.closed


@ensure_deferred
async def test_an_upload_that_is_cancelled_closes_its_file(service: str, bucket: Any) -> None:
    reactor, client = parts()
    assert bucket is not None
    uploader = make_uploader(target_of(service), client, reactor, CBOR_MEDIA_TYPE)
    file = BytesIO(b"content")
    running = uploader.put("key", file, 7)
    running.cancel()
    with pytest.raises(CancelledError):
        await running
    assert file.closed
