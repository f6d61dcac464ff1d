"""The flight process of one sortie: the only one that speaks to the aircraft. Small, and without vision."""

import logging
import math
import threading
import time

from patrol.domain.live import FlightStatus
from patrol.domain.sorties import SortieEvent, SortieState
from patrol.domain.telemetry import (
    AttitudeSample,
    ClockSample,
    GimbalSample,
    LensSample,
    PositionSample,
    VehicleStatus,
)
from patrol.edge.bus import Bus, ReturnHome
from patrol.edge.job import Job, background, run_process
from patrol.flight.clock import SystemClock
from patrol.flight.link import Link
from patrol.flight.sortie import SortieRunner
from patrol.plan.market import read_market
from patrol.plan.qgc import read_plan

_LOG = logging.getLogger(__name__)

_STATUS_EVERY_S = 0.25
# The station takes no longer ones.
_LONGEST_REASON = 500
# MAV_SEVERITY falls as matters get worse (MAVLink common.xml).
_MAV_SEVERITY_ERROR = 3
_MAV_SEVERITY_WARNING = 4


class _Broadcast:
    """Listens to the runner and tells the other processes."""

    def __init__(self, bus: Bus, sortie: str) -> None:
        self._bus = bus
        self._sortie = sortie
        self._event = SortieEvent(time.time_ns(), SortieState.PREPARED)
        self._position: PositionSample | None = None
        self._attitude: AttitudeSample | None = None
        self._vehicle: VehicleStatus | None = None
        self._due_s = 0.0

    def sortie(self, event: SortieEvent) -> None:
        self._event = event
        self._bus.send("supervisor", event)
        self._tell(now=True)

    def position(self, sample: PositionSample) -> None:
        self._position = sample
        self._bus.send("eyes", sample)
        self._tell()

    def attitude(self, sample: AttitudeSample) -> None:
        self._attitude = sample
        self._bus.send("eyes", sample)

    def gimbal(self, sample: GimbalSample) -> None:
        self._bus.send("eyes", sample)

    def lens(self, sample: LensSample) -> None:
        self._bus.send("eyes", sample)

    def clock(self, sample: ClockSample) -> None:
        self._bus.send("eyes", sample)

    def vehicle(self, status: VehicleStatus) -> None:
        self._vehicle = status
        self._tell()

    def text(self, severity: int, sentence: str) -> None:
        if severity <= _MAV_SEVERITY_ERROR:
            level = logging.ERROR
        else:
            level = logging.WARNING if severity <= _MAV_SEVERITY_WARNING else logging.INFO
        _LOG.log(level, "%s", sentence)

    def _tell(self, *, now: bool = False) -> None:
        now_s = time.monotonic()
        if not now and now_s < self._due_s:
            return
        self._due_s = now_s + _STATUS_EVERY_S
        status = self._status()
        self._bus.send("uplink", status)
        self._bus.send("supervisor", status)

    def _status(self) -> FlightStatus:
        position, attitude, vehicle = self._position, self._attitude, self._vehicle
        return FlightStatus(
            at_ns=time.time_ns(),
            sortie=self._sortie,
            state=self._event.state,
            reason=self._event.reason[:_LONGEST_REASON],
            lat_deg=position.lat_deg if position else None,
            lon_deg=position.lon_deg if position else None,
            height_above_home_m=position.height_above_home_m if position else None,
            heading_deg=math.degrees(attitude.yaw_ned_rad) % 360.0 if attitude else None,
            speed_mps=math.hypot(position.velocity_north_mps, position.velocity_east_mps)
            if position
            else None,
            battery_percent=vehicle.battery_percent if vehicle else None,
            mode=vehicle.mode if vehicle else "",
            armed=vehicle.armed if vehicle else False,
        )


def _take_orders(bus: Bus, runner: SortieRunner, stop: threading.Event, over: threading.Event) -> None:
    while not over.is_set():
        message = bus.receive(timeout_s=0.2)
        if isinstance(message, ReturnHome):
            runner.request_return(message.reason)
        if stop.is_set():
            runner.detach()


def _run(job: Job, bus: Bus, stop: threading.Event) -> int:
    settings = job.settings
    clock = SystemClock(settings.speed_up)
    with Link(settings.link, clock=clock, tlog_path=job.folder / "flight.tlog") as link:
        runner = SortieRunner(
            link,
            read_plan(settings.plan),
            _Broadcast(bus, job.sortie),
            clock,
            sortie=job.sortie,
            record_path=settings.sortie_record_path,
            market=read_market(settings.market),
        )
        over = threading.Event()
        with background(lambda ended: _take_orders(bus, runner, stop, ended), over):
            state = runner.run()
    return 0 if state is SortieState.COMPLETED else 1


if __name__ == "__main__":
    run_process("flight", _run)
