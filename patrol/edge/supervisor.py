"""Starts, watches and restarts the processes of one sortie, and ends it in good order.

`flight` holds the aircraft's link and nothing else that could fail it; `eyes` may run out of memory or crash
on a picture; `uplink` may hang on a network. Each is started again when it dies; the drone flies on.
"""

import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uuid_utils

from patrol.domain.errors import NightPatrolError
from patrol.domain.live import EyesStatus, FlightStatus
from patrol.domain.sorties import SortieEvent, SortieState
from patrol.edge.bus import Bus, Message, Notice, Party, ReturnHome
from patrol.edge.checks import check_before_start
from patrol.edge.job import Job
from patrol.edge.settings import EdgeSettings
from patrol.flight.record import read_record
from patrol.uplink.outbox import Outbox

_LOG = logging.getLogger(__name__)

_MODULES: dict[Party, str] = {
    "uplink": "patrol.edge.uplink_process",
    "eyes": "patrol.edge.eyes_process",
    "flight": "patrol.edge.flight_process",
}
_RESTART_FIRST_S = 0.5
_RESTART_MOST_S = 10.0
# A process that lived this long is taken to be well: its next restart is quick again.
_WELL_AFTER_S = 30.0
# How long undelivered alerts are waited for once the sortie is over; what remains stays in the outbox.
_DRAIN_S = 20.0
_STOP_S = 5.0
_ASK_AGAIN_S = 2.0
_USAGE_EXIT = 2


@dataclass(frozen=True)
class SortieSummary:
    """What one sortie came to."""

    sortie: str
    state: SortieState
    reason: str
    seconds: float
    frames_analysed: int
    frames_dropped: int
    people_tracked: int
    alerts_raised: int
    alerts_sent: int
    folder: Path


@dataclass
class _Child:
    """One supervised process and when it may be started again."""

    name: Party
    process: subprocess.Popen[bytes] | None = None
    started_at_s: float = 0.0
    restart_at_s: float = 0.0
    delay_s: float = _RESTART_FIRST_S
    finished: bool = False


@dataclass
class _Totals:
    """Counts over all lives of the eyes: a restarted process begins at zero."""

    base: tuple[int, int, int] = (0, 0, 0)
    latest: tuple[int, int, int] = (0, 0, 0)

    def update(self, status: EyesStatus) -> None:
        now = (status.frames_analysed, status.frames_dropped, status.people_tracked)
        if now[0] < self.latest[0]:
            self.base = self.sum()
        self.latest = now

    def sum(self) -> tuple[int, int, int]:
        base, latest = self.base, self.latest
        return base[0] + latest[0], base[1] + latest[1], base[2] + latest[2]


@dataclass
class Supervisor:
    """Runs one sortie to its end.

    `observer` is called with every message of the processes, for the display. `request_return` may be called
    from a signal handler: the first call brings the drone home, the second leaves it to its autopilot.
    """

    settings: EdgeSettings
    sortie: str
    observer: Callable[[Message], None]
    _children: dict[Party, _Child] = field(default_factory=dict)
    _totals: _Totals = field(default_factory=_Totals)
    _event: SortieEvent | None = None
    _airborne: bool = False
    _last_error: str = "the flight process never reported"
    _eyes_ready: bool = False
    _camera_reason: str = ""
    _return_reason: str | None = None
    _leave_now: bool = False

    def request_return(self, reason: str) -> None:
        """Bring the drone home; asked a second time, end at once and leave the drone to its autopilot."""
        if self._return_reason is not None:
            self._leave_now = True
        self._return_reason = reason

    def run(self) -> SortieSummary:
        """Fly the sortie. Returns when the drone is down, or when told twice to stop.

        Raises:
            NightPatrolError: the sortie could not begin (a wrong file or setting, no picture); the drone
                stayed on the ground.
        """
        check_before_start(self.settings)
        began_s = time.monotonic()
        job_dir = Path(tempfile.mkdtemp(prefix="night-patrol-"))
        job = Job(self.sortie, self.settings, job_dir)
        job.folder.mkdir(parents=True, exist_ok=True)
        self.settings.outbox_path.parent.mkdir(parents=True, exist_ok=True)
        job.write()
        bus = Bus(job_dir, "supervisor")
        try:
            if self.settings.station is not None:
                self._start(job, "uplink")
            self._start(job, "eyes")
            self._await_picture(job, bus)
            self._start(job, "flight")
            self._watch(job, bus)
            self._drain(job, bus)
        finally:
            self._stop_all()
            bus.close()
            shutil.rmtree(job_dir, ignore_errors=True)
        return self._summary(job, time.monotonic() - began_s)

    def _start(self, job: Job, name: Party) -> None:
        child = self._children.setdefault(name, _Child(name))
        child.started_at_s = time.monotonic()
        with (job.folder / f"{name}.log").open("ab") as log:
            # Arguments are ours alone: the interpreter, a module name, and the run folder.
            child.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", _MODULES[name], str(job.run_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _await_picture(self, job: Job, bus: Bus) -> None:
        deadline_s = time.monotonic() + self.settings.camera_wait_s
        while not self._eyes_ready:
            self._pump(bus)
            self._keep_alive(job)
            if self._return_reason is not None:
                raise NightPatrolError("stopped before the start; the drone stayed on the ground")
            if time.monotonic() > deadline_s:
                reason = self._camera_reason or f"{self.settings.camera}: no picture"
                raise NightPatrolError(
                    f"{reason}; the drone stays on the ground, since a blind patrol sees nothing"
                )

    def _watch(self, job: Job, bus: Bus) -> None:
        asked_at_s = float("-inf")
        flight = self._children["flight"]
        while not flight.finished and not self._leave_now:
            self._pump(bus)
            self._keep_alive(job)
            now_s = time.monotonic()
            if self._return_reason is not None and now_s - asked_at_s > _ASK_AGAIN_S:
                bus.send("flight", ReturnHome(self._return_reason))
                asked_at_s = now_s

    def _drain(self, job: Job, bus: Bus) -> None:
        """Stop the eyes, then give the uplink time to deliver what is durable but not yet sent."""
        self._end("eyes")
        if "uplink" not in self._children:
            return
        deadline_s = time.monotonic() + _DRAIN_S
        with Outbox(self.settings.outbox_path) as outbox:
            while outbox.depth() > 0 and time.monotonic() < deadline_s and not self._leave_now:
                self._pump(bus)
                self._keep_alive(job)
            waiting = outbox.depth()
        if waiting:
            self.observer(
                Notice(
                    "supervisor",
                    logging.WARNING,
                    f"{waiting} alert revisions wait in {self.settings.outbox_path}; they are sent when the "
                    "next patrol starts",
                )
            )

    def _pump(self, bus: Bus) -> None:
        message = bus.receive(timeout_s=0.2)
        if message is None:
            return
        if isinstance(message, EyesStatus):
            self._totals.update(message)
            self._eyes_ready = self._eyes_ready or message.camera == "ready"
            self._camera_reason = message.camera_reason
        elif isinstance(message, FlightStatus):
            self._event = SortieEvent(message.at_ns, message.state, message.reason)
            self._airborne = self._airborne or message.armed
        elif isinstance(message, SortieEvent):
            self._event = message
        elif isinstance(message, Notice) and message.level >= logging.ERROR:
            self._last_error = message.sentence
        self.observer(message)

    def _keep_alive(self, job: Job) -> None:
        now_s = time.monotonic()
        for child in self._children.values():
            if child.finished or child.process is None:
                if not child.finished and now_s >= child.restart_at_s:
                    self._start(job, child.name)
                continue
            code = child.process.poll()
            if code is None:
                continue
            self._note_exit(child, code, now_s)

    def _note_exit(self, child: _Child, code: int, now_s: float) -> None:
        child.process = None
        over = self._event is not None and self._event.state.is_final
        if code == 0 or (child.name == "flight" and over):
            # The eyes end by themselves with a recording, the flight process with its sortie.
            child.finished = True
            return
        if child.name == "flight" and code > 0 and not self._airborne:
            # It gave up on the ground and said why; a crash in the air is another matter.
            child.finished = True
            self._event = SortieEvent(time.time_ns(), SortieState.ABORTED, self._last_error)
            return
        if code == _USAGE_EXIT:
            child.finished = True
            if child.name == "eyes":
                raise NightPatrolError(f"the eyes cannot run: {self._last_error}")
            return
        if now_s - child.started_at_s > _WELL_AFTER_S:
            child.delay_s = _RESTART_FIRST_S
        child.restart_at_s = now_s + child.delay_s
        self.observer(
            Notice(
                "supervisor",
                logging.WARNING,
                f"{child.name} ended {_how(code)}; restarting in {child.delay_s:.1f} s, the drone flies on",
            )
        )
        child.delay_s = min(child.delay_s * 2, _RESTART_MOST_S)

    def _end(self, name: Party) -> None:
        child = self._children.get(name)
        if child is None:
            return
        child.finished = True
        if child.process is None:
            return
        child.process.terminate()
        try:
            child.process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        child.process = None

    def _stop_all(self) -> None:
        for name in list(self._children):
            self._end(name)

    def _summary(self, job: Job, seconds: float) -> SortieSummary:
        analysed, dropped, people = self._totals.sum()
        with Outbox(self.settings.outbox_path) as outbox:
            raised, sent = outbox.counts(self.sortie)
        event = self._event or SortieEvent(0, SortieState.ABORTED, self._last_error)
        return SortieSummary(
            sortie=self.sortie,
            state=event.state,
            reason=event.reason,
            seconds=round(seconds, 1),
            frames_analysed=analysed,
            frames_dropped=dropped,
            people_tracked=people,
            alerts_raised=raised,
            alerts_sent=sent,
            folder=job.folder,
        )


def sortie_to_fly(record_path: Path) -> str:
    """The id of the sortie that a process before this one left unfinished, else a new one.

    Raises:
        RecordError: there is a record that cannot be read.
    """
    record = read_record(record_path)
    return record.sortie if record is not None and record.unfinished else str(uuid_utils.uuid7())


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
