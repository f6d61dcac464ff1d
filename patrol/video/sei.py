"""Capture times inside the picture stream: the precision time stamp of MISB ST 0604.

The stamp is an SEI message "user data unregistered" (ITU-T H.264 annex D): a UUID, a status byte and eight
bytes of microseconds, each two followed by a guard byte 0xFF, so that no start code can appear among them.

The count is taken as POSIX time (UTC), as autopilots and nearly all cameras write it. A camera that follows
ST 0603 to the letter counts leap seconds too and is half a minute off; `VideoSource` reports such a clock.
"""

from patrol.video.clock import is_sane

_UUID_H264 = b"MISPmicrosectime"
_UUID_H265 = bytes.fromhex("a8687dd4d7593758a5cef0338b6545f1")
_STATUS_LOCKED = 0x1F  # ST 0603: locked to a reference, no discontinuity, running forward, reserved bits set
_GUARD = b"\xff"
_PAYLOAD_BYTES = 28

_START_CODE = b"\x00\x00\x01"
_NAL_SEI = b"\x06"
_SEI_USER_DATA_UNREGISTERED = b"\x05"
_RBSP_TRAILING = b"\x80"
_NAL_SLICES = range(1, 6)  # H.264 table 7-1: the coded slices, with which the picture itself begins


def time_stamp(captured_at_ns: int) -> bytes:
    """Return the 28 byte payload of ST 0604 for a UTC time in nanoseconds, rounded to the microsecond."""
    count = ((captured_at_ns + 500) // 1000).to_bytes(8, "big")
    return _UUID_H264 + bytes([_STATUS_LOCKED]) + _GUARD.join(count[i : i + 2] for i in range(0, 8, 2))


def read_time_stamp(payload: bytes) -> int | None:
    """Return the UTC time in nanoseconds that a payload "user data unregistered" carries.

    None when the payload is something else (encoders leave their name in such messages) or is malformed.
    """
    if len(payload) != _PAYLOAD_BYTES or payload[:16] not in (_UUID_H264, _UUID_H265):
        return None
    count, guards = payload[17:], payload[19::3]
    if guards != _GUARD * 3:
        return None
    captured_at_ns = int.from_bytes(bytes(byte for i, byte in enumerate(count) if i % 3 != 2), "big") * 1000
    return captured_at_ns if is_sane(captured_at_ns) else None


def insert_time_stamp(access_unit: bytes, captured_at_ns: int) -> bytes:
    """Return an H.264 access unit (Annex B byte stream) with the time stamp before its first slice.

    Raises:
        ValueError: there is no slice in it.
    """
    position = access_unit.find(_START_CODE)
    while position >= 0:
        header = position + len(_START_CODE)
        if header < len(access_unit) and access_unit[header] & 0x1F in _NAL_SLICES:
            return access_unit[:position] + _sei_nal(captured_at_ns) + access_unit[position:]
        position = access_unit.find(_START_CODE, header)
    raise ValueError("the access unit holds no slice")


def _sei_nal(captured_at_ns: int) -> bytes:
    payload = time_stamp(captured_at_ns)
    head = _START_CODE + _NAL_SEI + _SEI_USER_DATA_UNREGISTERED + bytes([len(payload)])
    return head + payload + _RBSP_TRAILING
