"""Lists of items to and from the vehicle (https://mavlink.io/en/services/mission.html).

The vehicle leads an upload by asking for items; datagrams may be lost, doubled or late. An upload counts only
when the vehicle said so after it asked for every item, and flying waits for the read-back besides, because an
upload that was refused half-way has already damaged what the vehicle held.
"""

import math
import struct
from collections import deque
from collections.abc import Callable, Sequence

from patrol.domain.errors import NightPatrolError
from patrol.flight.dialects import Dialect, Store, WireItem
from patrol.flight.link import Link
from patrol.flight.wire import Message, mavlink
from patrol.plan.qgc import FlightPlan

# The mission service advises 1.5 s for an answer and five tries. Where every third datagram is lost, as on a
# telemetry radio at its limit, five tries of one question fail once in thirty, ten once in a thousand.
_ANSWER_TIMEOUT_S = 1.5
_QUESTION_TRIES = 10
_UPLOAD_TRIES = 8
# ArduPilot gives up a stalled upload after 8 s, then begins afresh: wait longer than that before we give up.
_STALL_TIMEOUT_S = 10.0
# An upload in which nothing is wrong needs two datagrams an item; one that needs so many more never ends.
_MOST_MESSAGES_PER_ITEM = 50

_RESULT_WORDS = {
    mavlink.MAV_MISSION_ERROR: "refused without a reason",
    mavlink.MAV_MISSION_UNSUPPORTED_FRAME: "the frame of an item is not supported",
    mavlink.MAV_MISSION_UNSUPPORTED: "a command is not supported",
    mavlink.MAV_MISSION_NO_SPACE: "too many items",
    mavlink.MAV_MISSION_INVALID: "an item is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM1: "parameter 1 is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM2: "parameter 2 is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM3: "parameter 3 is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM4: "parameter 4 is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM5_X: "the latitude is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM6_Y: "the longitude is invalid",
    mavlink.MAV_MISSION_INVALID_PARAM7: "the height is invalid",
    mavlink.MAV_MISSION_DENIED: "another station is sending to it, or it is locked",
}
# Answers that do not end an upload: a doubled item is answered so while the vehicle asks on, and a stalled
# upload is called off by the vehicle before it is begun again.
_PASSING = (mavlink.MAV_MISSION_INVALID_SEQUENCE, mavlink.MAV_MISSION_OPERATION_CANCELLED)


class TransferError(NightPatrolError):
    """The vehicle does not hold what it should; it must not fly."""


class Transfer:
    """Uploads, downloads and compares. `stopped` is asked during every wait; true ends it with an error."""

    def __init__(self, link: Link, dialect: Dialect, stopped: Callable[[], bool] = lambda: False) -> None:
        self._link = link
        self._dialect = dialect
        self._stopped = stopped

    def put(self, plan: FlightPlan, store: Store) -> int:
        """Upload a part of the plan and read it back; returns the number of items on the vehicle.

        Raises:
            TransferError: it was refused, did not get through, or came back with another meaning.
        """
        items = self._dialect.items(plan, store)
        self.upload(items, store)
        read = self.download(store, most_items=len(items))
        difference = self._first_difference(plan, store, items, read)
        if difference:
            raise TransferError(
                f"{plan.path}: {difference}; upload it again, and do not fly before it agrees"
            )
        return len(read)

    def upload(self, items: Sequence[WireItem], store: Store) -> None:
        """Replace what the vehicle holds.

        Raises:
            TransferError: it was refused or did not get through.
        """
        upload = _Upload(items, store)
        with self._link.subscribed(upload.note, "MISSION_REQUEST", "MISSION_REQUEST_INT", "MISSION_ACK"):
            for _ in range(_UPLOAD_TRIES):
                upload.begin()
                self._send_count(len(items), store)
                if self._serve(upload):
                    return
        raise TransferError(
            f"the upload of the {store.word} did not get through; check the link and try again"
        )

    def download(self, store: Store, *, most_items: int) -> list[WireItem]:
        """What the vehicle holds, in order.

        Raises:
            TransferError: it holds more than `most_items`, or an answer did not come.
        """
        inbox: deque[Message] = deque()
        with self._link.subscribed(inbox.append, "MISSION_COUNT", "MISSION_ITEM_INT"):
            count = self._ask(
                lambda: mavlink.MAVLink_mission_request_list_message(*self._link.target, store),
                lambda: _take(inbox, "MISSION_COUNT", store),
                f"how many items its {store.word} has",
            ).count
            if count > most_items:
                raise TransferError(
                    f"the vehicle says that its {store.word} has {count} items where {most_items} were sent"
                )
            items = [self._download_item(inbox, store, seq) for seq in range(count)]
        self._link.send(
            mavlink.MAVLink_mission_ack_message(*self._link.target, mavlink.MAV_MISSION_ACCEPTED, store)
        )
        return items

    def _send_count(self, count: int, store: Store) -> None:
        self._link.send(mavlink.MAVLink_mission_count_message(*self._link.target, count, store))

    def _serve(self, upload: "_Upload") -> bool:
        """Answer the vehicle's requests; True when it has everything, False when it fell silent."""
        patience_s = _ANSWER_TIMEOUT_S
        for _ in range(_MOST_MESSAGES_PER_ITEM * (len(upload.items) + 1)):
            message = self._wait(upload.next, patience_s)
            if message is None:
                return False
            if message.get_type() == "MISSION_ACK":
                if upload.is_accepted_by(message):
                    return True
                if message.type not in (*_PASSING, mavlink.MAV_MISSION_ACCEPTED):
                    raise TransferError(upload.refusal(message.type))
                continue
            self._link.send(upload.answer(message.seq, self._link.target))
            # Once it asks, the vehicle repeats what it misses by itself, for 8 s.
            patience_s = _STALL_TIMEOUT_S
        return False

    def _download_item(self, inbox: deque[Message], store: Store, seq: int) -> WireItem:
        message = self._ask(
            lambda: mavlink.MAVLink_mission_request_int_message(*self._link.target, seq, store),
            lambda: _take(inbox, "MISSION_ITEM_INT", store, seq),
            f"item {seq} of its {store.word}",
        )
        return WireItem(
            command=message.command,
            frame=message.frame,
            params=(message.param1, message.param2, message.param3, message.param4),
            x=message.x,
            y=message.y,
            z=message.z,
            autocontinue=bool(message.autocontinue),
        )

    def _ask(
        self, question: Callable[[], Message], answer: Callable[[], Message | None], what: str
    ) -> Message:
        for _ in range(_QUESTION_TRIES):
            self._link.send(question())
            given = self._wait(answer, _ANSWER_TIMEOUT_S)
            if given is not None:
                return given
        raise TransferError(f"the vehicle does not tell {what}; check the link and try again")

    def _wait(self, condition: Callable[[], Message | None], timeout_s: float) -> Message | None:
        def look() -> Message | None:
            if self._stopped():
                raise TransferError("the upload was stopped; what the vehicle holds now must not be flown")
            return condition()

        return self._link.wait_until(look, timeout_s)

    def _first_difference(
        self, plan: FlightPlan, store: Store, sent: Sequence[WireItem], read: Sequence[WireItem]
    ) -> str | None:
        if len(sent) != len(read):
            return f"{len(sent)} items of the {store.word} were sent, {len(read)} came back"
        for seq, (one, other) in enumerate(zip(sent, read, strict=True)):
            difference = self._dialect.difference(store, seq, one, other, plan)
            if difference:
                return f"{_item_name(store, seq, one)}: {difference}"
        return None


class _Upload:
    """The state of one upload."""

    def __init__(self, items: Sequence[WireItem], store: Store) -> None:
        self.items = items
        self._store = store
        self._inbox: deque[Message] = deque()
        self._asked: set[int] = set()
        self._latest = 0
        for seq in range(len(items)):
            self._check(seq)
        self._asked.clear()

    def begin(self) -> None:
        """Forget the attempt before."""
        self._inbox.clear()
        self._asked.clear()

    def note(self, message: Message) -> None:
        """Take what concerns this upload; a request for what there is not is no request."""
        if message.mission_type != self._store:
            return
        if message.get_type() != "MISSION_ACK" and message.seq >= len(self.items):
            return
        self._inbox.append(message)

    def next(self) -> Message | None:
        """The oldest message that was not looked at."""
        return self._inbox.popleft() if self._inbox else None

    def answer(self, seq: int, target: tuple[int, int]) -> Message:
        """The item that was asked for. Both kinds of request are answered with MISSION_ITEM_INT."""
        self._asked.add(seq)
        self._latest = seq
        item = self.items[seq]
        return mavlink.MAVLink_mission_item_int_message(
            *target,
            seq,
            item.frame,
            item.command,
            0,
            int(item.autocontinue),
            *item.params,
            item.x,
            item.y,
            item.z,
            self._store,
        )

    def _check(self, seq: int) -> None:
        try:
            self.answer(seq, (1, 1)).pack(mavlink.MAVLink(None))
        except (struct.error, OverflowError) as error:
            name = _item_name(self._store, seq, self.items[seq])
            raise TransferError(f"{name}: a number is too large for MAVLink; correct the plan") from error

    def is_accepted_by(self, acknowledgement: Message) -> bool:
        """The vehicle has it all. A late answer to something else comes before all items were asked for."""
        return acknowledgement.type == mavlink.MAV_MISSION_ACCEPTED and len(self._asked) == len(self.items)

    def refusal(self, result: int) -> str:
        """Why the vehicle does not take it."""
        words = _RESULT_WORDS.get(result, f"result {result}")
        where = (
            f" at {_item_name(self._store, self._latest, self.items[self._latest])}" if self._asked else ""
        )
        return (
            f"the vehicle refused the {self._store.word}{where}: {words}; what it holds now must not be flown"
        )


def _take(inbox: deque[Message], kind: str, store: Store, seq: int | None = None) -> Message | None:
    """The first fitting answer; what came before it is late or doubled and is dropped."""
    while inbox:
        message = inbox.popleft()
        if message.get_type() != kind or message.mission_type != store:
            continue
        if seq is None or (message.seq == seq and math.isfinite(message.z)):
            return message
    return None


def _item_name(store: Store, seq: int, item: WireItem) -> str:
    commands = mavlink.enums["MAV_CMD"]
    name = commands[item.command].name if item.command in commands else f"command {item.command}"
    return f"{store.word} item {seq} ({name.removeprefix('MAV_CMD_')})"
