"""Local messages between the processes of one edge box: Unix datagrams, newest wins, nobody ever waits.

Each process owns one socket in the run folder and may write to the others'. A message to a process that is
not there, or that does not keep up, is dropped: whatever must not be lost goes through the outbox.
"""

import contextlib
import logging
import os
import select
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from patrol.domain.errors import NightPatrolError
from patrol.domain.live import EyesStatus, FlightStatus
from patrol.domain.sorties import SortieEvent
from patrol.domain.telemetry import (
    AttitudeSample,
    ClockSample,
    GimbalSample,
    LensSample,
    PositionSample,
    VehicleStatus,
)

_LOG = logging.getLogger(__name__)

Party = Literal["flight", "eyes", "uplink", "supervisor"]

# Linux keeps a Unix socket's path in 108 bytes, the final zero included (unix(7)).
_LONGEST_PATH_BYTES = 107
# The kernel's default ceiling for a datagram is net.core.wmem_max, 212,992 bytes on Debian.
_LARGEST_DATAGRAM_BYTES = 200_000
LARGEST_PICTURE_BYTES = 145_000
"""A JPEG of this size still fits after base64 and the words around it."""
# It queues ten datagrams a socket (net.unix.max_dgram_qlen), 0.1 s of telemetry: read them from a thread
# that does nothing else.


@dataclass(frozen=True)
class LivePicture:
    """The newest annotated picture. Never stored."""

    at_ns: int
    jpeg_base64: str


@dataclass(frozen=True)
class Notice:
    """A sentence of one process for the people who watch."""

    process: str
    level: int
    sentence: str


@dataclass(frozen=True)
class ReturnHome:
    """Ask the flight process to bring the drone home."""

    reason: str


Message = (
    PositionSample
    | AttitudeSample
    | GimbalSample
    | LensSample
    | ClockSample
    | VehicleStatus
    | FlightStatus
    | SortieEvent
    | EyesStatus
    | LivePicture
    | Notice
    | ReturnHome
)

_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in Message.__args__}


class Bus:
    """One process's end of the local bus.

    Raises:
        NightPatrolError: the run folder's path is too long for a Unix socket.
    """

    def __init__(self, run_dir: Path, me: Party) -> None:
        self._run_dir = run_dir
        path = run_dir / f"{me}.sock"
        if len(os.fsencode(path)) > _LONGEST_PATH_BYTES:
            raise NightPatrolError(f"{path}: too long for a local socket; choose a shorter run folder")
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST_DATAGRAM_BYTES)
        self._socket.bind(str(path))
        # Never a time-out on the socket: Python would make senders wait it out as well.
        self._socket.setblocking(False)

    def send(self, to: Party, message: Message) -> bool:
        """Send without waiting; False when the other end is absent, full, or the message too large."""
        name = type(message).__name__
        data = name.encode() + b"\n" + _ADAPTERS[name].dump_json(message)
        if len(data) > _LARGEST_DATAGRAM_BYTES:
            return False
        try:
            self._socket.sendto(data, str(self._run_dir / f"{to}.sock"))
        except OSError:
            return False
        return True

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None when none came in time or the socket was closed."""
        try:
            select.select([self._socket], [], [], timeout_s)
            data = self._socket.recv(_LARGEST_DATAGRAM_BYTES)
        except (OSError, ValueError):  # nothing came; or closed, which select calls a wrong value
            return None
        name, _, body = data.partition(b"\n")
        adapter = _ADAPTERS.get(name.decode(errors="replace"))
        if adapter is None:
            _LOG.warning("a message of unknown kind %r on the local bus was ignored", name[:40])
            return None
        try:
            message: Message = adapter.validate_json(body)
        except ValidationError:
            _LOG.warning("a malformed %s on the local bus was ignored", name.decode())
            return None
        return message

    def close(self) -> None:
        """Stop receiving. Pending messages are gone."""
        with contextlib.suppress(OSError):
            self._socket.close()
