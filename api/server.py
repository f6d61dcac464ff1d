"""Runs the station under uvicorn: says plainly why it cannot start, and stops without waiting for streams."""

import errno
import fcntl
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from api.app import create_app
from api.settings import StationSettings, make_data_dir
from api.station import Station
from patrol.domain.errors import NightPatrolError, UsageError

logger = logging.getLogger(__name__)

# Long enough for an upload that is under way; streams and long polls end at once.
_GRACE_S = 5


class _Server(uvicorn.Server):
    """uvicorn around an opened station."""

    def __init__(self, config: uvicorn.Config, station: Station) -> None:
        super().__init__(config)
        self._station = station

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the station before anything listens, where a fault is still told in a sentence."""
        try:
            await self._station.open()
            await super().serve(sockets)
        finally:
            await self._station.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and long polls first: uvicorn waits for connections before it tells the application."""
        self._station.stop_waiting()
        await super().shutdown(sockets)


def run(settings: StationSettings, *, access_log: bool = False) -> None:
    """Serve until the process is told to stop.

    Raises:
        UsageError: the address cannot be listened on, or a setting cannot be used.
        NightPatrolError: the data folder or the database cannot be used, or another station uses it.
    """
    _check_tls(settings)
    with _only_station(settings.data_dir), _listen(settings.host, settings.port) as listener:
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=access_log,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        scheme = "http" if settings.tls_certificate is None else "https"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        port = listener.getsockname()[1]
        logger.info("The station is at %s://%s:%d, its data in %s", scheme, host, port, settings.data_dir)
        if scheme == "http" and not _is_loopback(listener):
            logger.warning(
                "Whoever shares the network with %s can read passwords and pictures: there is no TLS. "
                "Give --tls-cert and --tls-key, or put a TLS proxy in front and listen on 127.0.0.1.",
                host,
            )
        with suppress(KeyboardInterrupt):
            _Server(config, app.state.station).run(sockets=[listener])


def _check_tls(settings: StationSettings) -> None:
    if settings.tls_certificate is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_certificate, settings.tls_key
        )
    except OSError as error:  # what ssl raises is an OSError too
        raise UsageError(
            f"{settings.tls_certificate}, {settings.tls_key}: not a TLS certificate and its key ({error}); "
            "give both as PEM files"
        ) from error


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} on {host} is in use; stop the program that has it, or choose another --port"
            ) from error
        raise UsageError(
            f"cannot listen on {host} port {port} ({error.strerror}); choose another --host or --port"
        ) from error
    with listener:
        yield listener


@contextmanager
def _only_station(data_dir: Path) -> Iterator[None]:
    """Hold the data folder: changes made by a second station would not wake those who wait at the first."""
    make_data_dir(data_dir)
    try:
        descriptor = os.open(data_dir / "station.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise NightPatrolError(
            f"{data_dir}: the data folder cannot be written ({error.strerror}); "
            "choose another with --data or make it writable"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"{data_dir}: another station is running with this data folder; stop it, or choose another --data"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
