"""The item protocol as ArduPilot speaks it: it asks for uploads item by item and answers downloads as asked.

It asks with MISSION_REQUEST and not with MISSION_REQUEST_INT. It first cuts the old mission to the new length
and then overwrites it item by item: a refused upload leaves the old mission damaged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from patrol.sim.body import Vector
from patrol.sim.dialects.ardupilot.copter import Copter
from patrol.sim.dialects.ardupilot.items import (
    RELATIVE_FRAMES,
    Item,
    ItemError,
    fence_shapes,
    stored_fence_item,
    stored_mission_item,
    stored_rally_item,
)
from patrol.sim.dialects.ardupilot.mission import MissionState

STALLED_NS = 8_000_000_000  # measured: ack 15 after 8 s
ASK_AGAIN_NS = 1_000_000_000
MAXIMUM_ITEMS = {
    mavlink.MAV_MISSION_TYPE_MISSION: 724,
    mavlink.MAV_MISSION_TYPE_FENCE: 84,
    mavlink.MAV_MISSION_TYPE_RALLY: 19,
}

Send = Callable[[mavlink.MAVLink_message], None]


class Store(Protocol):
    """One list of items. `put` and `finish` raise ItemError for what is refused."""

    def items(self) -> Sequence[Item]:
        """The list as it reads back."""

    def begin(self, count: int) -> None:
        """An upload of `count` items starts."""

    def put(self, seq: int, item: Item) -> None:
        """Item `seq` has come."""

    def finish(self) -> None:
        """The last item has come."""

    def clear(self) -> None:
        """Forget all items."""


class MissionStore:
    """The mission: slot 0 is home whatever is written to it."""

    def __init__(self, copter: Copter) -> None:
        self._copter = copter

    def items(self) -> Sequence[Item]:
        """Home and the mission."""
        items = self._copter.mission.items
        return [self._home(), *items[1:]] if items else []

    def _home(self) -> Item:
        drone = self._copter.drone
        north, east, up = self._copter.home_or_start
        lat_deg, lon_deg = drone.frame.to_geodetic(east, north)
        frame = mavlink.MAV_FRAME_GLOBAL
        place = (round(float(lat_deg) * 1e7), round(float(lon_deg) * 1e7), up + drone.ground_amsl_m)
        return Item(mavlink.MAV_CMD_NAV_WAYPOINT, frame, (0.0, 0.0, 0.0, 0.0), *place)

    def begin(self, count: int) -> None:
        """Cut the old mission."""
        del self._copter.mission.items[count:]

    def put(self, seq: int, item: Item) -> None:
        """Overwrite or append one item."""
        items = self._copter.mission.items
        stored = stored_mission_item(item)
        if seq < len(items):
            items[seq] = stored
        else:
            items.append(stored)

    def finish(self) -> None:
        """Tell that the mission has changed."""
        mission = self._copter.mission
        mission.changes += 1
        self._copter.parameters.set("MIS_TOTAL", len(mission.items))
        self._copter.listener.text(mavlink.MAV_SEVERITY_INFO, "Flight plan received")

    def clear(self) -> None:
        """Forget the mission; refused while it is being flown."""
        mission = self._copter.mission
        if mission.state is MissionState.RUNNING:
            raise ItemError(mavlink.MAV_MISSION_ERROR)
        mission.items.clear()
        mission.rewind()
        self._copter.parameters.set("MIS_TOTAL", 0)


class FenceStore:
    """The fence: a broken upload leaves the old one in place."""

    def __init__(self, copter: Copter) -> None:
        self._copter = copter
        self._kept: tuple[Item, ...] = ()
        self._coming: list[Item] = []

    def items(self) -> Sequence[Item]:
        """The fence."""
        return self._kept

    def begin(self, count: int) -> None:
        """Make room; an empty list takes effect at once."""
        self._coming = []
        if count == 0:
            self._take()

    def put(self, seq: int, item: Item) -> None:
        """Note one item."""
        del seq
        self._coming.append(stored_fence_item(item))

    def finish(self) -> None:
        """Check the shapes and put them into force."""
        self._take()

    def _take(self) -> None:
        items = tuple(self._coming)
        self._copter.fence.load(fence_shapes(items))
        self._kept = items
        self._copter.parameters.set("FENCE_TOTAL", len(items))

    def clear(self) -> None:
        """Forget the fence."""
        self._coming = []
        self._take()


class RallyStore:
    """The rally points."""

    def __init__(self, copter: Copter) -> None:
        self._copter = copter
        self._kept: list[Item] = []

    def items(self) -> Sequence[Item]:
        """The rally points."""
        return self._kept

    def begin(self, count: int) -> None:
        """Cut the old list."""
        del self._kept[count:]
        self._publish()

    def put(self, seq: int, item: Item) -> None:
        """Overwrite or append one point."""
        self._kept[seq : seq + 1] = [stored_rally_item(item)]

    def finish(self) -> None:
        """Put the points into force."""
        self._publish()

    def _publish(self) -> None:
        copter = self._copter

        def place(item: Item) -> Vector:
            north, east = copter.place_of(item.x, item.y)
            return (
                north,
                east,
                item.z if item.frame in RELATIVE_FRAMES else item.z - copter.drone.ground_amsl_m,
            )

        copter.rally_points = tuple(place(item) for item in self._kept)
        copter.parameters.set("RALLY_TOTAL", len(self._kept))

    def clear(self) -> None:
        """Forget the points."""
        self._kept.clear()
        self._publish()


@dataclass
class _Upload:
    """An upload that is under way."""

    kind: int
    count: int
    peer: tuple[int, int]
    wanted: int
    heard_ns: int
    asked_ns: int


class ItemTransfer:
    """Answers the item protocol for the three lists."""

    def __init__(self, copter: Copter, send: Send) -> None:
        self._copter = copter
        self._send = send
        self._stores: dict[int, Store] = {
            mavlink.MAV_MISSION_TYPE_MISSION: MissionStore(copter),
            mavlink.MAV_MISSION_TYPE_FENCE: FenceStore(copter),
            mavlink.MAV_MISSION_TYPE_RALLY: RallyStore(copter),
        }
        self._upload: _Upload | None = None
        self._fence_changed_ns: int | None = None

    def fence_is_settling(self, within_ns: int) -> bool:
        """True right after a fence upload, when the real vehicle has not loaded it yet."""
        changed = self._fence_changed_ns
        return changed is not None and self._copter.drone.boot_ns - changed < within_ns

    def step(self) -> None:
        """Ask again for an item that does not come; give up an upload that has stalled."""
        upload = self._upload
        if upload is None:
            return
        now_ns = self._copter.drone.boot_ns
        if now_ns - upload.heard_ns > STALLED_NS:
            self._upload = None
            self._ack(upload.peer, mavlink.MAV_MISSION_OPERATION_CANCELLED, upload.kind)
        elif now_ns - upload.asked_ns > ASK_AGAIN_NS:
            self._ask(upload)

    def handle_count(self, message: mavlink.MAVLink_message, peer: tuple[int, int]) -> None:
        """MISSION_COUNT: an upload begins."""
        kind, count = message.mission_type, message.count
        store = self._stores.get(kind)
        if store is None:
            self._ack(peer, mavlink.MAV_MISSION_UNSUPPORTED, kind)
        elif self._upload is not None and self._upload.peer != peer:
            self._ack(peer, mavlink.MAV_MISSION_DENIED, kind)
        elif count > MAXIMUM_ITEMS[kind]:
            self._ack(peer, mavlink.MAV_MISSION_NO_SPACE, kind)
        else:
            now_ns = self._copter.drone.boot_ns
            store.begin(count)
            self._upload = _Upload(kind, count, peer, wanted=0, heard_ns=now_ns, asked_ns=now_ns)
            if count == 0:
                self._finish(self._upload)
            else:
                self._ask(self._upload)

    def handle_item(self, message: mavlink.MAVLink_message, peer: tuple[int, int]) -> None:
        """MISSION_ITEM_INT, or MISSION_ITEM with its coordinates in degrees."""
        upload = self._upload
        if upload is None or message.mission_type != upload.kind:
            self._ack(peer, mavlink.MAV_MISSION_ERROR, message.mission_type)
        elif peer != upload.peer:
            self._ack(peer, mavlink.MAV_MISSION_DENIED, upload.kind)
        elif message.seq != upload.wanted:
            self._ack(peer, mavlink.MAV_MISSION_INVALID_SEQUENCE, upload.kind)
        else:
            self._take(upload, message)

    def _take(self, upload: _Upload, message: mavlink.MAVLink_message) -> None:
        try:
            self._stores[upload.kind].put(upload.wanted, item_of(message))
        except ItemError as error:
            self._upload = None
            self._ack(upload.peer, error.result, upload.kind)
            return
        upload.heard_ns = self._copter.drone.boot_ns
        upload.wanted += 1
        if upload.wanted == upload.count:
            self._finish(upload)
        else:
            self._ask(upload)

    def _finish(self, upload: _Upload) -> None:
        self._upload = None
        result = mavlink.MAV_MISSION_ACCEPTED
        try:
            self._stores[upload.kind].finish()
        except ItemError as error:
            result = error.result
        if upload.kind == mavlink.MAV_MISSION_TYPE_FENCE:
            self._fence_changed_ns = self._copter.drone.boot_ns
        self._ack(upload.peer, result, upload.kind)

    def handle_request_list(self, message: mavlink.MAVLink_message, peer: tuple[int, int]) -> None:
        """MISSION_REQUEST_LIST: say how many items there are."""
        store = self._stores.get(message.mission_type)
        if store is None:
            self._ack(peer, mavlink.MAV_MISSION_UNSUPPORTED, message.mission_type)
        elif self._upload is not None:
            self._ack(peer, mavlink.MAV_MISSION_DENIED, message.mission_type)
        else:
            count = len(store.items())
            self._send(mavlink.MAVLink_mission_count_message(*peer, count, message.mission_type))

    def handle_request(self, message: mavlink.MAVLink_message, peer: tuple[int, int]) -> None:
        """MISSION_REQUEST_INT gets a MISSION_ITEM_INT, MISSION_REQUEST a MISSION_ITEM."""
        kind = message.mission_type
        store = self._stores.get(kind)
        items = store.items() if store is not None else ()
        if self._upload is not None:
            self._ack(peer, mavlink.MAV_MISSION_DENIED, kind)
        elif message.seq >= len(items):
            self._ack(peer, mavlink.MAV_MISSION_INVALID_SEQUENCE, kind)
        else:
            as_float = message.get_msgId() == mavlink.MAVLINK_MSG_ID_MISSION_REQUEST
            self._send(_item_message(items[message.seq], message.seq, kind, peer, as_float=as_float))

    def handle_clear(self, message: mavlink.MAVLink_message, peer: tuple[int, int]) -> None:
        """MISSION_CLEAR_ALL, for one list or for all."""
        kind = message.mission_type
        everything = kind == mavlink.MAV_MISSION_TYPE_ALL
        stores = (
            list(self._stores.values()) if everything else [s for k, s in self._stores.items() if k == kind]
        )
        result = mavlink.MAV_MISSION_ACCEPTED if stores else mavlink.MAV_MISSION_UNSUPPORTED
        if self._upload is not None:
            result = mavlink.MAV_MISSION_ERROR
        else:
            for store in stores:
                try:
                    store.clear()
                except ItemError as error:
                    result = error.result
        self._ack(peer, result, kind)

    def _ask(self, upload: _Upload) -> None:
        upload.asked_ns = self._copter.drone.boot_ns
        self._send(mavlink.MAVLink_mission_request_message(*upload.peer, upload.wanted, upload.kind))

    def _ack(self, peer: tuple[int, int], result: int, kind: int) -> None:
        self._send(mavlink.MAVLink_mission_ack_message(*peer, result, kind))


def item_of(message: mavlink.MAVLink_message) -> Item:
    """The item in a MISSION_ITEM_INT or MISSION_ITEM.

    Raises:
        ItemError: a MISSION_ITEM holds coordinates that are none.
    """
    x, y = message.x, message.y
    if message.get_msgId() == mavlink.MAVLINK_MSG_ID_MISSION_ITEM:
        if not abs(x) <= 90.0:  # also not a number
            raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM5_X)
        if not abs(y) <= 180.0:
            raise ItemError(mavlink.MAV_MISSION_INVALID_PARAM6_Y)
        x, y = round(x * 1e7), round(y * 1e7)
    parameters = (message.param1, message.param2, message.param3, message.param4)
    return Item(message.command, message.frame, parameters, x, y, message.z)


def _item_message(
    item: Item, seq: int, kind: int, peer: tuple[int, int], *, as_float: bool
) -> mavlink.MAVLink_message:
    head = (*peer, seq, item.frame, item.command, 0, 1, *item.parameters)
    if as_float:
        return mavlink.MAVLink_mission_item_message(*head, item.x / 1e7, item.y / 1e7, item.z, kind)
    return mavlink.MAVLink_mission_item_int_message(*head, item.x, item.y, item.z, kind)
