"""The simulated vehicle's UDP socket: it sends to one address and hears whoever writes back."""

import contextlib
import select
import socket
from typing import Any
from urllib.parse import urlsplit

from patrol.domain.errors import UsageError

DATAGRAM_LIMIT = 2048  # a MAVLink 2 frame is at most 280 bytes; stations may put several into one datagram
BACKLOG = 1000  # datagrams taken in one go, so that a flood cannot hold up the flight


def udp_address(url: str) -> tuple[str, int]:
    """Host and port of `udp://HOST:PORT`.

    Raises:
        UsageError: it is no such address.
    """
    parts = urlsplit(url)
    with contextlib.suppress(ValueError):  # a port that is no number
        if parts.scheme == "udp" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    raise UsageError(f"{url}: is not a UDP address; write it as udp://127.0.0.1:14550")


class UdpLink:
    """Sends to one address, and to the last other one that wrote to it."""

    def __init__(self, url: str) -> None:
        """Open the socket.

        Raises:
            UsageError: the address is none, or its host is not known.
        """
        host, port = udp_address(url)
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise UsageError(f"{url}: host {host} is not known; check its name") from error
        self._home = address
        self._visitor: Any = None  # the address, as the socket gives it
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)

    def send(self, frame: bytes) -> None:
        """Send a frame; one that cannot be sent is lost, as on a radio."""
        for address in (self._home, self._visitor):
            if address is not None:
                with contextlib.suppress(OSError):
                    self._socket.sendto(frame, address)

    def receive(self) -> list[bytes]:
        """The datagrams that have come since the last call."""
        datagrams: list[bytes] = []
        while len(datagrams) < BACKLOG:
            try:
                datagram, address = self._socket.recvfrom(DATAGRAM_LIMIT)
            except BlockingIOError:
                break
            except OSError:  # nobody listens where the last frame went
                continue
            datagrams.append(datagram)
            if address != self._home:
                self._visitor = address
        return datagrams

    def wait(self, seconds: float) -> None:
        """Wait until something comes, at most for so long."""
        select.select([self._socket], [], [], max(0.0, seconds))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
