"""The vehicle's words for people: STATUSTEXT, put together from its pieces.

A long text comes in chunks of 50 bytes that share an id; the one that is not full is the last
(https://mavlink.io/en/messages/common.html#STATUSTEXT).
"""

from dataclasses import dataclass, field

from patrol.flight.wire import Message

_CHUNK_BYTES = 50
# A chunk that got lost is not waited for longer than this.
_STALE_AFTER_S = 2.0
# As many texts may be under way at once; more are a fault or an attack, and the oldest is let go.
_MOST_OPEN = 8
# 10 chunks: longer than any text of an autopilot, short enough for a screen.
_MOST_CHUNKS = 10


@dataclass(frozen=True)
class VehicleText:
    """A sentence of the vehicle; `severity` as MAV_SEVERITY: 0 emergency .. 7 debug."""

    severity: int
    sentence: str


@dataclass
class _Open:
    severity: int
    since_s: float
    chunks: dict[int, bytes] = field(default_factory=dict)
    last: int | None = None

    @property
    def complete(self) -> bool:
        return self.last is not None and all(seq in self.chunks for seq in range(self.last + 1))

    def text(self) -> VehicleText:
        """All there is, with an ellipsis for each gap."""
        top = self.last if self.last is not None else max(self.chunks)
        raw = b"".join(self.chunks.get(seq, b"...") for seq in range(top + 1))
        return VehicleText(self.severity, _printable(raw if self.last is not None else raw + b"..."))


class TextAssembler:
    """Turns STATUSTEXT messages into whole sentences without control characters."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}

    def add(self, message: Message, now_s: float) -> list[VehicleText]:
        """The texts that this message completes, or that are given up on because they waited too long."""
        raw = bytes(message._text_raw)  # the decoded field is cut to ASCII
        if message.id == 0:
            return [*self.stale(now_s), VehicleText(message.severity, _printable(raw))]
        text = self._open.setdefault(message.id, _Open(message.severity, now_s))
        if message.chunk_seq < _MOST_CHUNKS:
            text.chunks[message.chunk_seq] = raw
        if len(raw) < _CHUNK_BYTES or message.chunk_seq >= _MOST_CHUNKS - 1:
            text.last = min(message.chunk_seq, _MOST_CHUNKS - 1)
        if text.complete:
            return [self._open.pop(message.id).text()]
        return self.stale(now_s)

    def stale(self, now_s: float) -> list[VehicleText]:
        """Texts whose missing chunk will not come any more, as far as they are known."""
        old = [key for key, text in self._open.items() if now_s - text.since_s > _STALE_AFTER_S]
        crowded = list(self._open)[: max(0, len(self._open) - _MOST_OPEN)]
        return [self._open.pop(key).text() for key in dict.fromkeys([*old, *crowded])]


def _printable(raw: bytes) -> str:
    """The text up to its first zero byte; what a terminal could take for a command becomes a space."""
    text = raw.split(b"\0", 1)[0].decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()
