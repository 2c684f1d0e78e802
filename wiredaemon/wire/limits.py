"""The named limits of the whole server, with safe defaults.

All that a peer can influence has a field here. Layers read those they need from one frozen
``Limits``; the configuration's ``[limits]`` sets them by name. The comment above says why.

Source: reliability, section 3; framing, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wiredaemon.wire.json_limits import JsonLimits

SENT_PAYLOAD: Final = 32768
"""The largest frame payload sent, encoded, in bytes; Mercurial misreads lengths from 65536 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(JsonLimits):
    """The bounds of all that a peer makes the server hold: bytes and seconds, inclusive."""

    # --- frames ----------------------------------------------------------------------------------

    # Twice the largest payload of Mercurial. HTTP/2 has the same 24 bits, and begins with 16 KiB.
    frame_payload: int = 65536
    """The largest frame payload accepted (the wire format allows 16 MiB - 1)."""

    # A full batch of a Mercurial client, `manifestdata` of 100,000 nodes, has 2.1 MB.
    request_size: int = 4 * 1024 * 1024
    """One command request, reassembled from its frames."""

    # Two of the largest. Without it, 16 half-open ones of 4 MiB were 64 MiB of each connection.
    request_bytes: int = 8 * 1024 * 1024
    """All requests of one connection together, begun or not answered."""

    # A few of the largest at once; nearly all requests are complete with one read.
    unfinished_bytes: int = 6 * 1024 * 1024
    """Unended requests and argument bodies that no worker has read, of peers without a login."""

    # Envoy's overload manager acts in stages, too.
    held_memory: int = 0
    """All that peers make the daemon hold; 0 is a quarter of the machine's or cgroup's memory."""

    # The frames of 32 KiB of the largest request, times two: hyper's rule for CONTINUATION frames.
    request_frames: int = 256
    """Frames that one command request may be cut into."""

    # Clients send none but the last of a request's data. CVE-2019-9518 of HTTP/2: no progress.
    empty_frames: int = 8
    """Frames without payload in a row on one connection, ends of a request's data left out."""

    # Mercurial's settings have 42 bytes. As much as a whole HTTP head may have.
    settings_size: int = 16 * 1024
    """Sender protocol settings or stream settings, all frames together."""

    # 16 steps of a decoder, of up to 0.25 ms: the reactor must not be kept longer than 50 ms.
    decoded_size: int = 1024 * 1024
    """Content that a client decodes before its caller is asked again, with 64 KiB more at most."""

    # As many as commands that four connections run; 256 MiB of windows at the worst.
    encoded_streams: int = 32
    """Streams that a client decodes side by side: each may hold a window of 8 MiB."""

    # Mercurial's own server accepted 30,000. Its clients send one request after the other.
    half_open_requests: int = 16
    """Requests begun and not yet complete on one connection."""

    # The default of Envoy at the edge; Go's HTTP/2 server has 250. Running commands are not cheap.
    concurrent_requests: int = 100
    """Requests accepted and not yet answered on one connection."""

    # The least number of workers that there may be: one connection can use them, and no more.
    running_commands: int = 8
    """Commands running side by side on one connection."""

    # --- CBOR ------------------------------------------------------------------------------------

    # Real commands need less than 6; cbor2 set 400 after CVE-2026-26209.
    cbor_depth: int = 32
    """Containers inside each other in one CBOR item."""

    # The largest batch of a Mercurial client has 100,000; each may take 64 bytes when decoded.
    cbor_elements: int = 130_000
    """Items inside one CBOR item, containers included."""

    # An empty array takes 1.9 us to decode, so that these take 20 ms. No command takes 100.
    cbor_containers: int = 10_000
    """Arrays, maps and tags inside one CBOR item."""

    # --- command data and output -----------------------------------------------------------------

    # The bound of a body that waitress has.
    command_data: int = 1024 * 1024 * 1024
    """Command data of one request where the command declares data."""

    # Enough for a client that did not know, and too little to be worth sending on purpose.
    undeclared_data: int = 1024 * 1024
    """Command data of one request where the command declares none: counted and dropped."""

    # Four frames of the largest size that is accepted.
    buffered_data: int = 256 * 1024
    """Command data waiting for its command; beyond it the peer is paused."""

    # Measured: a queue of this size keeps full speed. Envoy has 32 KiB, Twisted's transports 64.
    output_high: int = 256 * 1024
    """Output waiting on one connection at which commands are paused."""

    # A stream of zstd holds up to 1.5 MiB, more than all else that a connection holds.
    encoding_streams: int = 2
    """Streams of one connection whose output is content encoded; beyond, it is sent as it is."""

    # --- connections -----------------------------------------------------------------------------

    # Most systems give a process 1,024 descriptors.
    connections: int = 1000
    """Open connections of all listeners together."""

    # A build farm behind one address; clients open one each.
    connections_per_address: int = 64
    """Open connections of one address, or requests at once where a trusted proxy names it."""

    # nghttp2, Node and Twisted bound the resets of HTTP/2 by this bucket, after CVE-2023-44487.
    failed_requests: int = 1000
    """Requests of one address that may fail or be broken off at once."""

    failed_requests_rate: float = 33.0
    """Such requests a second that are forgiven."""

    # libwebsockets has 10 s.
    tls_handshake_seconds: float = 10.0
    """Time in which TLS must be ready, from the opening of the connection."""

    # Envoy at the edge has 10 s, hyper 30.
    head_seconds: float = 10.0
    """Time in which the head of an HTTP request must be complete, from its first byte."""

    # The two figures of Apache's `RequestReadTimeout body=20,MinRate=500`.
    body_rate: int = 500
    """Bytes a second that the body of an HTTP request must arrive with."""

    body_rate_seconds: float = 20.0
    """Window for `body_rate`; time in which we paused the client does not count."""

    # Twisted's own; Node has 5 s, nginx 75.
    keep_alive_seconds: float = 60.0
    """Time for which an HTTP connection stays open without a request."""

    # Prometheus, a supervisor that asks for the health, and a few people.
    admin_connections: int = 16
    """Connections to the listeners of `[admin]`, which `connections` leaves out."""

    admin_seconds: float = 10.0
    """Time of one of these connections: for one request, and its answer to the last byte."""

    # nginx has 1,000.
    requests_per_connection: int = 10_000
    """Requests on one HTTP connection, which is closed after the last; none on raw TCP."""

    # The reader of a stalled answer holds up to 4 MiB of the system's memory besides ours.
    answer_stalled_seconds: float = 60.0
    """Time for which a peer may take nothing of an answer."""

    answer_rate: int = 1024
    """Bytes a second of an answer that a peer must take."""

    answer_rate_seconds: float = 60.0
    """Window for `answer_rate`."""

    # Twisted's own.
    close_seconds: float = 15.0
    """Time in which a peer must close its side, once ours is closed and all of it is sent."""

    # --- HTTP ------------------------------------------------------------------------------------

    # Twisted's own bound.
    head: int = 16 * 1024
    """Request line and headers of an HTTP request."""

    # Mercurial cuts arguments into headers of 1 KiB: 120 of them carry 3,000 nodes of a discovery.
    version1_head: int = 128 * 1024
    """Request line and headers with a version 1 command, whose arguments travel in headers."""

    # Four times the data of a command: version 1 pushes whole histories in one body.
    push_size: int = 4 * 1024 * 1024 * 1024
    """Body of a push over version 1, which Mercurial keeps in a temporary file."""

    # At `body_rate` two minutes of it hold no worker; most pushes are smaller.
    push_early: int = 65_536
    """Beginning of such a body that has come before a worker is asked for; 0 asks at once."""

    # Half a MiB at the most. A client sends few heads that differ: one for each command.
    known_heads: int = 512
    """Heads of HTTP requests, of up to 1 KiB, that a site remembers; 0 remembers none."""

    # A client that sends a small body reads the refusal only then.
    drained_body: int = 64 * 1024
    """Rest of a refused body that is read and dropped to keep the connection."""

    # What a fast line brings in `drain_seconds`. Proxies that cannot send all of it answer 502.
    refused_body: int = 64 * 1024 * 1024
    """Rest of a larger one that is read and dropped, before the connection is closed."""

    # Some round trips on a slow line.
    drain_seconds: float = 2.0
    """Time in which `drained_body` or `refused_body` must arrive."""

    # --- logins ----------------------------------------------------------------------------------

    # A person who has forgotten a password tries three or four. One who guesses has 7,200 a day.
    login_failures: int = 5
    """Failed logins of one address, and of one name, in `login_failure_seconds`; 0 is no limit."""

    login_failure_seconds: float = 60.0
    """Time in which `login_failures` are allowed again."""

    # A push of Mercurial logs in 8 times, at 0.2 to 0.3 s for each check.
    login_cache_seconds: float = 60.0
    """Time that a verified password is not checked again; 0 checks each time."""

    # The last one waits for 10 s: clients give up after some 30.
    login_queue: int = 64
    """Passwords that wait to be checked: of users where they have logged in before; of others."""

    # Some 2 MiB in each of the tables. Passwords are checked too slowly to fill one in a minute.
    login_records: int = 10_000
    """Addresses, names and pairs whose failures are remembered, and users with known addresses."""

    # Over a weekend and some days of illness.
    login_known_seconds: float = 7 * 24 * 3600.0
    """Time after a login in which failures of others do not limit this user at this address."""

    # --- workers ---------------------------------------------------------------------------------

    # HGitaly has fewer: two slow readers would stop every repository. Each holds about 45 MiB.
    worker_processes: int = 0
    """Repository workers at most; 0 means the larger of 8 and twice the processors."""

    # One for the first stream or push, which leaves another for short commands.
    worker_least: int = 2
    """Repository workers that start with the daemon and stay, where there may be so many."""

    worker_idle_seconds: float = 60.0
    """Time after which an idle worker beyond `worker_least` ends: pauses of one person's work."""

    # No leak lasts longer; at 0.5 s to start a worker it adds 0.05 ms to a command.
    worker_commands: int = 10_000
    """Commands after which a worker is replaced."""

    # Twenty times what a worker has at first: a bundle of 50 MB files takes 471 MB, and is to pass.
    worker_memory: int = 1024 * 1024 * 1024
    """Resident memory after which a worker is replaced."""

    # Twice `worker_memory`: what passes leaves a worker that is replaced.
    worker_memory_hard: int = 2 * 1024 * 1024 * 1024
    """Memory of its own that a worker may take, and each program of a hook; then its command fails.
    Files that are only mapped do not count. 0 sets no bound."""

    # A hundred times what it takes on a quiet machine.
    worker_start_seconds: float = 60.0
    """Time a worker may take to be ready."""

    # Eight for each of the least number of workers. More would wait longer than they are worth.
    worker_queue: int = 64
    """Commands that wait for a worker: values, and as many streams, half of those for one peer."""

    # Killing a worker costs the next command 0.5 s; most commands end sooner than this.
    worker_read_grace: float = 2.0
    """Time a read command keeps its worker after the peer has left."""

    # Longer than clients and proxies wait without a byte: nginx and HAProxy give up after 60 s.
    read_seconds: float = 60.0
    """Time in which a read or a page must begin, and go on; none counts while its reader pauses."""

    # What RhodeCode gives a push.
    write_seconds: float = 3600.0
    """Time that a write command may take in all, with its hooks."""

    # The largest values, branch maps and bookmarks of large repositories, have a few MB.
    worker_result: int = 64 * 1024 * 1024
    """Result of one value command."""

    # Measured: 1 MiB on its way between worker and reactor, in pieces of 256 KiB, keeps full speed.
    worker_stream_buffer: int = 1024 * 1024
    """Answer of one stream command that waits for its reader in memory; then its worker waits."""

    # As much disk as the cache has.
    worker_spool: int = 1024 * 1024 * 1024
    """Answers of all stream commands in temporary files, so that slow readers hold no worker."""

    # A clone of 100 MB takes 100 minutes at this rate; others would wait for its worker.
    worker_drain_rate: int = 16 * 1024
    """Bytes a second that a reader must take to keep a worker, once no more can be spooled."""

    worker_drain_seconds: float = 60.0
    """Window for `worker_drain_rate`, as long as an answer may stall without a byte taken."""

    # Twice `running_commands`, so that one connection leaves as many to others.
    blocking_threads: int = 16
    """Blocking commands at once, each in a thread, until they return, cancelled or not."""

    blocking_waiting: int = 64
    """Blocking commands waiting for a thread before "busy" is answered."""

    # --- collections -----------------------------------------------------------------------------

    # Twice `index_entries`: where a page lists more than are kept, each look forgets some again.
    known_repositories: int = 2000
    """Repositories of collections whose settings are kept, a few KiB of each asked for last."""

    collection_depth: int = 32
    """Folders inside each other that a collection is searched in; deeper are circles of links."""

    index_entries: int = 1000
    """Repositories that one index page lists, which has some 100 KiB then."""

    index_seconds: float = 1.0
    """Seconds after which an index page shows what is known; the rest is looked at afterwards."""

    # Measured: 50 ms of reading folders that the system has in memory, in a thread.
    index_scan: int = 100_000
    """Names in folders that are read for one index page, or for one search at the start."""

    # --- cache -----------------------------------------------------------------------------------

    cache_size: int = 1024 * 1024 * 1024
    """Responses kept on the disk, all together, as of some large clones; 0 keeps none."""

    # A quarter of the cache: one answer must not push out all others.
    cache_entry: int = 256 * 1024 * 1024
    """One response that is kept, before and after content encoding."""

    # Each is a file, looked at when the daemon starts: 25 ms for so many.
    cache_entries: int = 10_000
    """Responses kept."""

    # Together they may take as much as the whole cache: four times `cache_entry`.
    cache_recordings: int = 4
    """Responses that are recorded at once; others that are sent meanwhile are not kept."""

    # Some forms of one repository of 1 GB: each client's compression is one, a stream another.
    cache_clones: int = 4 * 1024 * 1024 * 1024
    """Clones over version 1 and bundles on the disk, a quarter for one at most; 0 keeps none."""

    # Each is a file that must not be dropped meanwhile, of up to `cache_entry`.
    cache_uploads: int = 16
    """Responses that wait to be uploaded to redirect targets; others are offered again later."""
