"""Where a reader stands in the station's changes. Opaque to readers and of use at one station only."""

import base64
import binascii
import struct

from api.problems import ProblemError

# First half of the station's id, then the number of the last change that was read.
_LAYOUT = struct.Struct(">8sQ")


def encode(station_id: str, change: int) -> str:
    """The cursor after change number `change`."""
    packed = _LAYOUT.pack(bytes.fromhex(station_id)[:8], change)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(station_id: str, cursor: str, *, last_change: int) -> int:
    """The number of the change that `cursor` stands after.

    Raises:
        ProblemError: 400; it is no cursor, or one of another station or of a database that is gone.
    """
    try:
        station, change = _LAYOUT.unpack(base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, struct.error, ValueError):
        raise _unusable("This is no cursor") from None
    if station != bytes.fromhex(station_id)[:8]:
        raise _unusable("This cursor is of another station")
    if change > last_change:
        raise _unusable("This cursor is ahead of the station, whose database was restored from a backup")
    return int(change)


def _unusable(reason: str) -> ProblemError:
    return ProblemError(400, f"{reason}; read again from the start, without a cursor.", kind="cursor")
