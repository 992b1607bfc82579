"""The recording process: ``python -m roomwitness.recording FD``, started by ``host.py``."""

import asyncio
import resource
import signal
import socket
import sys

from .service import Service, forward_log


def main() -> None:
    """Serve the socket that Home Assistant's process gave us."""
    # Whoever stops Home Assistant may stop its whole group: it tells us itself when it ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # A core file would have pictures in it that are in the clear.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    service = Service(socket.socket(fileno=int(sys.argv[1])))
    forward_log(service)
    asyncio.run(service.run())


if __name__ == "__main__":
    main()
