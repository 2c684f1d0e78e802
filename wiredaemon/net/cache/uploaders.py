"""Uploads content to redirect targets: by HTTP PUT, or into a bucket of S3."""

from __future__ import annotations

from base64 import b64encode
from typing import IO, TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.task import Cooperator
from twisted.internet.threads import deferToThreadPool
from twisted.web.client import Agent, FileBodyProducer
from twisted.web.http_headers import Headers

from wiredaemon.net.cache.targets import PUT, S3

if TYPE_CHECKING:
    from twisted.web.iweb import IResponse

    from wiredaemon.net.cache.targets import Target

CONNECT_SECONDS: Final = 10.0
"""Seconds for one connection to a target, by HTTP or to S3."""
UPLOAD_SECONDS: Final = 900.0
"""Time for one upload: 256 MiB at 300 kB/s."""
CHECK_SECONDS: Final = 30.0
"""Time for one question whether an object is there."""


class UploadError(Exception):
    """A server did not accept or return an object."""


class Uploader(Protocol):
    """Puts content where a target's clients find it."""

    def put(self, name: str, file: IO[bytes], size: int) -> Deferred[None]:
        """Upload a file from its beginning under a name, and close it in any case.

        It fails if the server does not accept the object. It may be cancelled.
        """


class HttpClient:
    """Sends the HTTP requests that uploads need.

    Args:
        reactor: The reactor, for connections.
    """

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._reactor = reactor
        self._agent = Agent(reactor, connectTimeout=CONNECT_SECONDS)
        # Twisted's own is the global reactor's, and tests have another one.
        self._cooperator = Cooperator(scheduler=lambda turn: reactor.callLater(0, turn))

    def put(self, url: str, headers: Headers, file: IO[bytes]) -> Deferred[None]:
        """Upload a file; fails with `UploadError` unless the server accepts it."""
        body = FileBodyProducer(file, self._cooperator)
        asked = self._agent.request(b"PUT", url.encode("ascii"), headers, body)
        done = asked.addCallback(self._check_put)
        return self._bounded(done, UPLOAD_SECONDS)

    def size_of(self, url: str) -> Deferred[int | None]:
        """Return the size of the object; None if it is missing or the server does not say."""
        asked = self._agent.request(b"HEAD", url.encode("ascii"))
        return self._bounded(asked.addCallback(self._size), CHECK_SECONDS)

    def _bounded(self, done: Deferred[Any], seconds: float) -> Deferred[Any]:
        return done.addTimeout(seconds, self._reactor)

    def _check_put(self, response: IResponse) -> None:
        _drop_body(response)
        # The answers of RFC 9110, 9.3.4; a redirect is none of them, because the body has been
        # sent.
        if response.code not in {200, 201, 204}:
            raise UploadError(f"PUT was answered with HTTP {response.code}")

    def _size(self, response: IResponse) -> int | None:
        _drop_body(response)
        if response.code == 200:  # noqa: PLR2004 OK
            # A response to HEAD has no length of its own; the header is left to us.
            (length, *_) = response.headers.getRawHeaders(b"Content-Length") or [b""]
            return int(length) if length.isdigit() else None
        # 403, because S3 answers that for a missing object to those who may not list the bucket.
        if response.code in {403, 404, 410}:
            return None
        raise UploadError(f"HEAD was answered with HTTP {response.code}")


class HttpUploader:
    """Puts objects with HTTP PUT.

    Args:
        client: Asks.
        base: URL to which names are appended; user and password in it are for basic authentication.
        media_type: That of the objects.
    """

    def __init__(self, client: HttpClient, base: str, media_type: bytes) -> None:
        self._client = client
        parts = urlsplit(base)
        # The password goes into a header, and out of the URL, which ends up in logs.
        host = parts.netloc.rpartition("@")[2]
        self._base = urlunsplit(parts._replace(netloc=host))
        self._headers = Headers({b"Content-Type": [media_type]})
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers.addRawHeader(b"Authorization", b"Basic " + b64encode(pair))

    def put(self, name: str, file: IO[bytes], size: int) -> Deferred[None]:  # noqa: ARG002 of Uploader
        """Upload a file; its producer closes it."""
        done = self._client.put(self._base + name, self._headers.copy(), file)

        def close(result: Any) -> Any:  # noqa: ANN401 whatever it was
            file.close()
            return result

        return done.addBoth(close)


class S3Uploader:
    """Puts objects into a bucket of S3, or of a service like it; needs the extra ``s3``.

    Credentials are where boto3 looks for them.

    Args:
        target: Names the bucket, and the service.
        reactor: The reactor, for threads.
        media_type: That of the objects.
    """

    def __init__(self, target: Target, reactor: Any, media_type: bytes) -> None:  # noqa: ANN401 zope interfaces do not intersect
        self._target = target
        self._media_type = media_type.decode()
        self._reactor = reactor
        bucket, _, prefix = target.upload.removeprefix(S3).partition("/")
        self._bucket, self._prefix = bucket, prefix
        self._made: Any = None

    def put(self, name: str, file: IO[bytes], size: int) -> Deferred[None]:
        """Upload a file in a thread; cancelling closes the file, which ends that soon."""
        pool = self._reactor.getThreadPool()
        running = deferToThreadPool(self._reactor, pool, self._put, name, file, size)
        done: Deferred[None] = Deferred(lambda _: file.close())

        def finished(result: Any) -> None:  # noqa: ANN401 whatever it was
            file.close()
            if not done.called:
                done.callback(result)

        running.addBoth(finished)
        return done.addTimeout(UPLOAD_SECONDS, self._reactor)

    def _put(self, name: str, file: IO[bytes], size: int) -> None:
        self._client().put_object(
            Bucket=self._bucket,
            Key=self._prefix + name,
            Body=file,
            ContentLength=size,
            ContentType=self._media_type,
        )

    def _client(self) -> Any:  # noqa: ANN401 boto3 has no types
        if self._made is None:
            import boto3  # noqa: PLC0415 an extra, and slow to import
            from botocore.config import Config  # noqa: PLC0415 the same

            self._made = boto3.client(
                "s3",
                endpoint_url=self._target.endpoint_url or None,
                region_name=self._target.region or None,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=CHECK_SECONDS,
                    # Once more, for a connection that S3 has closed while it was idle; for all else
                    # there is `FIRST_WAIT`.
                    retries={"total_max_attempts": 2},
                    # Services that are only like S3 know no others.
                    request_checksum_calculation="when_required",
                ),
            )
        return self._made


def make_uploader(
    target: Target,
    client: HttpClient,
    reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
    media_type: bytes,
) -> Uploader:
    """Return the uploader of a target."""
    if target.upload.startswith(S3):
        return S3Uploader(target, reactor, media_type)
    return HttpUploader(client, target.upload.removeprefix(PUT), media_type)


class _Dropped(TwistedProtocol):
    """Discards the body of a response."""


def _drop_body(response: IResponse) -> None:
    response.deliverBody(_Dropped())
