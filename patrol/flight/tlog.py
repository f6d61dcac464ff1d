"""Recording of a link in the telemetry-log format that ground stations replay.

Each frame follows its UTC time in microseconds as eight bytes, most significant first
(https://mavlink.io/en/file_formats/).
"""

import logging
import struct
import threading
from io import FileIO
from pathlib import Path

from patrol.domain.errors import NightPatrolError

_LOG = logging.getLogger(__name__)

_STAMP = struct.Struct(">Q")
_NS_PER_US = 1000


class TlogWriter:
    """Appends frames to a file. A full disk ends the recording, never the flight. Safe from any thread.

    Raises:
        NightPatrolError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            # Unbuffered: a killed process loses nothing of its last seconds.
            self._file: FileIO | None = path.open("ab", buffering=0)
        except OSError as error:
            raise NightPatrolError(
                f"{path}: cannot be written ({error.strerror}); choose another place for the flight recording"
            ) from error

    def write(self, at_utc_ns: int, frame: bytes) -> None:
        """Append one frame."""
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(_STAMP.pack(at_utc_ns // _NS_PER_US) + frame)
            except OSError as error:
                _LOG.error(
                    "%s: flight recording stopped (%s); the flight goes on", self._path, error.strerror
                )
                self._close()

    def close(self) -> None:
        """End the recording; later frames are ignored."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
