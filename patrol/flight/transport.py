"""Bytes to and from the vehicle over UDP, TCP or a serial line. All input and output of the room is here."""

import errno
import importlib
import socket
import termios
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qs, urlsplit

from patrol.domain.errors import NightPatrolError, UsageError

_FORMS = "udp://HOST:PORT, tcp://HOST:PORT or serial:///dev/ttyX?baud=57600"
_LARGEST_READ_BYTES = 65_535
# Room for a second of telemetry while this process does not get to run.
_RECEIVE_BUFFER_BYTES = 1 << 20
_CONNECT_TIMEOUT_WALL_S = 5.0
_RECONNECT_EVERY_WALL_S = 1.0
# The speed of telemetry radios unless told otherwise.
_DEFAULT_BAUD = 57_600


# The address of whoever sent a datagram; None where only one can be at the other end.
Peer = tuple[Any, ...] | None


class LinkError(NightPatrolError):
    """The link to the vehicle cannot be had."""


class Transport(Protocol):
    """One way to a vehicle. `read` is called by one thread, `write` by any."""

    @property
    def datagrams(self) -> bool:
        """True where what is read is a whole datagram, False where it is a piece of a stream."""
        ...

    def read(self, timeout_wall_s: float) -> tuple[bytes, Peer] | None:
        """What came in and from whom; None when nothing came in time. Never raises."""
        ...

    def write(self, data: bytes, peer: Peer) -> None:
        """Send to `peer`, as `read` named it.

        Raises:
            OSError: it could not be sent.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


def open_transport(url: str) -> Transport:
    """Open what `url` names.

    Raises:
        UsageError: the URL is none of udp://HOST:PORT, tcp://HOST:PORT, serial:///DEVICE?baud=N.
        LinkError: the port or device cannot be had; the sentence says what to do.
    """
    return _opener(url)()


def check_url(url: str) -> None:
    """Check the form of a link's URL without opening it.

    Raises:
        UsageError: as from `open_transport`.
    """
    _opener(url)


def _opener(url: str) -> Callable[[], Transport]:
    try:
        parts = urlsplit(url)
        if parts.scheme == "udp":
            # Without a host every address is listened on: vehicles call in.
            return partial(UdpTransport, url, parts.hostname or "0.0.0.0", _port(parts))  # noqa: S104
        if parts.scheme == "tcp" and parts.hostname:
            return partial(_tcp, url, parts.hostname, _port(parts))
        if parts.scheme == "serial" and parts.path:
            baud = int(parse_qs(parts.query).get("baud", [str(_DEFAULT_BAUD)])[0])
            return partial(_serial, url, parts.path, baud)
    except ValueError as error:
        raise UsageError(f"{url}: {error}; write {_FORMS}") from error
    raise UsageError(f"{url}: not a link to a vehicle; write {_FORMS}")


def _port(parts: SplitResult) -> int:
    if parts.port is None:
        raise ValueError("the port is missing")
    return parts.port


class UdpTransport:
    """Listens on a UDP port; whoever sends there is a peer.

    Raises:
        LinkError: the port cannot be had.
    """

    def __init__(self, url: str, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise LinkError(_why_not_bound(url, port, error)) from error

    @property
    def datagrams(self) -> bool:
        """Always true."""
        return True

    @property
    def port(self) -> int:
        """The port that is listened on, also where the URL left the choice to the system by port 0."""
        return int(self._socket.getsockname()[1])

    def read(self, timeout_wall_s: float) -> tuple[bytes, Peer] | None:
        """One datagram and its sender's address."""
        try:
            self._socket.settimeout(timeout_wall_s)
            return self._socket.recvfrom(_LARGEST_READ_BYTES)
        except OSError:
            return None

    def write(self, data: bytes, peer: Peer) -> None:
        """Send one datagram."""
        if peer is not None:
            self._socket.sendto(data, socket.MSG_DONTWAIT, peer)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _why_not_bound(url: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{url}: port {port} is in use by another program; stop that "
            "(another patrol, QGroundControl, MAVProxy) or choose another port"
        )
    if error.errno == errno.EACCES:
        return f"{url}: port {port} is reserved for the administrator; choose a port above 1023"
    return f"{url}: cannot listen there ({error.strerror}); give an address of this machine, or 0.0.0.0"


class Stream(Protocol):
    """A connected byte stream."""

    def read(self, timeout_wall_s: float) -> bytes:
        """What came in; empty when nothing came in time.

        Raises:
            OSError: the connection is gone.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: the connection is gone.
        """
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class StreamTransport:
    """A byte stream that is opened again when it breaks.

    Raises:
        OSError: it cannot be opened the first time.
    """

    def __init__(self, connect: Callable[[], Stream]) -> None:
        self._connect = connect
        self._stream: Stream | None = connect()
        self._closed = threading.Event()
        self._tried_at_wall_s = 0.0

    @property
    def datagrams(self) -> bool:
        """Always false."""
        return False

    def read(self, timeout_wall_s: float) -> tuple[bytes, Peer] | None:
        """What came in. While the stream is broken, tries about once a second to open it again."""
        if self._stream is None and not self._reconnect():
            self._closed.wait(timeout_wall_s)
            return None
        stream = self._stream
        if stream is None:
            return None
        try:
            data = stream.read(timeout_wall_s)
        except OSError:
            self._drop()
            return None
        return (data, None) if data else None

    def write(self, data: bytes, peer: Peer) -> None:
        """Send all of `data`; `peer` is the one at the other end."""
        del peer
        stream = self._stream
        if stream is None:
            raise ConnectionError(errno.ENOTCONN, "the link is being opened again")
        stream.write(data)

    def close(self) -> None:
        """Close for good."""
        self._closed.set()
        self._drop()

    def _reconnect(self) -> bool:
        now_wall_s = time.monotonic()
        if self._closed.is_set() or now_wall_s - self._tried_at_wall_s < _RECONNECT_EVERY_WALL_S:
            return False
        self._tried_at_wall_s = now_wall_s
        try:
            self._stream = self._connect()
        except OSError:
            return False
        return True

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _TcpStream:
    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_WALL_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, timeout_wall_s: float) -> bytes:
        self._socket.settimeout(timeout_wall_s)
        try:
            data = self._socket.recv(_LARGEST_READ_BYTES)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionError(errno.ECONNRESET, "closed by the other end")
        return data

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class _SerialStream:
    def __init__(self, serial: Any, device: str, baud: int) -> None:
        self._port = serial.Serial(device, baud, timeout=0.1, write_timeout=1.0, exclusive=True)

    def read(self, timeout_wall_s: float) -> bytes:
        self._port.timeout = timeout_wall_s
        try:
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except termios.error as error:
            # What pyserial lets through when the device is pulled out.
            raise OSError(*error.args) from error

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def close(self) -> None:
        self._port.close()


def _tcp(url: str, host: str, port: int) -> Transport:
    try:
        return StreamTransport(lambda: _TcpStream(host, port))
    except OSError as error:
        raise LinkError(
            f"{url}: no connection ({error.strerror or error}); "
            "check that the vehicle or its router is on and the port right"
        ) from error


def _serial(url: str, device: str, baud: int) -> Transport:
    try:
        serial = importlib.import_module("serial")
    except ImportError as error:
        raise LinkError(f"{url}: serial lines need the package pyserial; install it") from error
    try:
        return StreamTransport(lambda: _SerialStream(serial, device, baud))
    except OSError as error:
        raise LinkError(
            f"{url}: the serial line cannot be opened ({error.strerror or error}); check the cable, the "
            "device's name, that your user is in the group dialout and that no other program holds it"
        ) from error
