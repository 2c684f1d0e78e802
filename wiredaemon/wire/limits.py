"""The named limits of the whole server, with safe defaults.

Every buffer, count, depth and time that a peer can influence has a field here. Layers take the
fields they need from one frozen ``Limits``; the configuration's ``[limits]`` table sets them by
name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SENT_PAYLOAD: Final = 32768
"""Largest frame payload ever sent, in bytes after encoding.

Source: framing, section 2 (what Mercurial itself emits, and misreads from 65536 on).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may make the server hold, and for how long.

    Sizes are bytes, times are seconds, bounds are inclusive.
    """

    frame_payload: int = 65536
    """Largest frame payload accepted (the wire format allows 16 MiB - 1)."""

    request_size: int = 4 * 1024 * 1024
    """One command request, reassembled from its frames."""

    request_frames: int = 256
    """Frames that one command request may be cut into."""

    empty_frames: int = 8
    """Frames without payload in a row on one connection."""

    settings_size: int = 16 * 1024
    """Sender protocol settings or stream settings, all frames together."""

    decoded_size: int = 1024 * 1024
    """Content that a client decodes from content encodings before its caller is asked again; one
    step of 64 KiB more may come."""

    encoded_streams: int = 32
    """Streams in a content encoding that a client decodes side by side: each may hold a window of
    8 MiB."""

    half_open_requests: int = 16
    """Requests begun and not yet complete on one connection."""

    concurrent_requests: int = 100
    """Requests accepted and not yet answered on one connection."""

    running_commands: int = 8
    """Commands running side by side on one connection."""

    cbor_depth: int = 32
    """Containers inside each other in one CBOR item."""

    cbor_elements: int = 250_000
    """Items inside one CBOR item, containers included."""

    command_data: int = 1024 * 1024 * 1024
    """Command data of one request where the command declares data."""

    undeclared_data: int = 1024 * 1024
    """Command data of one request where the command declares none: counted and dropped."""

    buffered_data: int = 256 * 1024
    """Command data waiting for its command; beyond it the peer is paused."""

    output_high: int = 256 * 1024
    """Output waiting on one connection at which commands are paused, until it has left."""

    encoding_streams: int = 2
    """Streams of one connection whose output is content encoded; beyond, it is sent as it is."""

    head: int = 16 * 1024
    """Request line and headers of an HTTP request."""

    version1_head: int = 128 * 1024
    """The same of a request with a version 1 command, whose arguments travel in headers."""

    push_size: int = 4 * 1024 * 1024 * 1024
    """Body of a push over version 1, which Mercurial keeps in a temporary file."""

    body_rate: int = 500
    """Bytes a second that the body of a push must come with at least, for a worker waits for it."""

    body_rate_seconds: float = 20.0
    """Time over which that is counted; what the server makes wait is not."""

    known_heads: int = 512
    """Heads of HTTP requests, of up to 1 KiB, that a site remembers; 0 remembers none."""

    drained_body: int = 64 * 1024
    """Body bytes read and dropped after an early refusal."""

    drain_seconds: float = 2.0
    """Time for that."""

    worker_processes: int = 0
    """Repository workers at most; 0 means the larger of 8 and twice the processors."""

    worker_idle_seconds: float = 60.0
    """Time after which an idle worker beyond the first ends."""

    worker_commands: int = 10_000
    """Commands after which a worker is replaced."""

    worker_memory: int = 1024 * 1024 * 1024
    """Resident memory after which a worker is replaced."""

    worker_start_seconds: float = 60.0
    """Time a worker may take to be ready."""

    worker_queue: int = 64
    """Commands waiting for a worker before "busy" is answered: values and streams, as many of each.
    Half of the streams may be one peer's."""

    worker_read_grace: float = 2.0
    """Time a read command keeps its worker after the peer has left."""

    worker_result: int = 64 * 1024 * 1024
    """Result of one value command."""

    known_repositories: int = 1000
    """Repositories of collections whose settings are kept, those asked for last."""

    collection_depth: int = 32
    """Folders inside each other below a collection's folder; deeper ones are not looked at."""

    index_entries: int = 1000
    """Repositories that one index page lists."""

    index_scan: int = 100_000
    """Names in folders that are looked at for one index page, or for one search at the start."""

    worker_stream_buffer: int = 1024 * 1024
    """Answer of one stream command that waits for its reader in memory; then its worker waits."""

    worker_spool: int = 1024 * 1024 * 1024
    """Answers of all stream commands in temporary files, so that slow readers hold no worker that
    others wait for."""

    worker_drain_rate: int = 16 * 1024
    """Bytes a second that a reader must take, once no more can be spooled, to keep a worker that
    others wait for."""

    worker_drain_seconds: float = 60.0
    """Time over which that is counted."""

    cache_size: int = 1024 * 1024 * 1024
    """Responses kept on the disk, all together; 0 keeps none."""

    cache_entry: int = 256 * 1024 * 1024
    """One response that is kept, before and after content encoding."""

    cache_entries: int = 10_000
    """Responses kept."""

    cache_recordings: int = 4
    """Responses that are recorded at once; what goes on beside them is not kept."""

    cache_uploads: int = 16
    """Responses that wait to be uploaded to redirect targets; others are offered again later."""
