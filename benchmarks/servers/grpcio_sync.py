"""grpcio's synchronous server with a generic method of bytes: `/p.Peer/Echo`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from typing import Any


def echo(data: bytes, context: Any) -> bytes:  # noqa: ANN401, ARG001 grpcio has no annotations
    """Return the argument."""
    return data


def main() -> None:
    """Serve until the process is ended."""
    methods = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server = grpc.server(ThreadPoolExecutor(max_workers=10))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("p.Peer", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"port {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
