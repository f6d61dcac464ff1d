"""Starts, watches and restarts the processes of one sortie, and ends it in good order.

`flight` holds the aircraft's link and nothing else that could fail it; `eyes` may run out of memory or crash
on a picture; `uplink` may hang on a network. Each is started again when it dies; the drone flies on.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uuid_utils

from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.live import EyesStatus, FlightStatus
from patrol.domain.sorties import SortieEvent, SortieState
from patrol.edge.bus import Bus, Message, Notice, Party, ReturnHome
from patrol.edge.checks import check_before_start
from patrol.edge.job import EXIT_STOPPED, Job
from patrol.edge.settings import EdgeSettings
from patrol.flight.record import RecordError, read_record
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
# Loading the model's libraries from a cold disk on a busy box takes tens of seconds.
_EYES_START_S = 120.0
_USAGE_EXIT = 2


@dataclass(frozen=True)
class SortieSummary:
    """What one sortie came to. `called_home` is why somebody ended it early, None when nobody did."""

    sortie: str
    state: SortieState
    reason: str
    seconds: float
    frames_analysed: int
    frames_dropped: int
    people_tracked: int
    alerts_raised: int
    alerts_sent: int
    deliveries_refused: int
    called_home: str | None
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

    `observer` is called with every message of the processes, for the display. `request_return` and
    `leave_to_autopilot` may be called from any thread and from signal handlers.
    """

    settings: EdgeSettings
    sortie: str
    observer: Callable[[Message], None]
    _children: dict[Party, _Child] = field(default_factory=dict)
    _totals: _Totals = field(default_factory=_Totals)
    _event: SortieEvent | None = None
    _last_error: str = "the flight process never reported"
    _eyes_heard_s: float | None = None
    _eyes_ready: bool = False
    _camera_reason: str = ""
    _return_reason: str | None = None
    _leave_now: bool = False

    def request_return(self, reason: str) -> None:
        """Bring the drone home, or do not start it. The first reason stands."""
        self._return_reason = self._return_reason or reason

    def leave_to_autopilot(self) -> None:
        """End our processes soon and leave the drone to its autopilot."""
        self._leave_now = True

    def run(self) -> SortieSummary:
        """Fly the sortie. Returns when the drone is down, or when told twice to stop.

        Raises:
            NightPatrolError: the sortie could not begin (a wrong file or setting, no picture); the drone
                stayed on the ground.
        """
        check_before_start(self.settings)
        with _only_patrol_of(self.settings):
            return self._run()

    def _run(self) -> SortieSummary:
        began_s = time.monotonic()
        job_dir = Path(tempfile.mkdtemp(prefix="night-patrol-"))
        job = Job(self.sortie, self.settings, job_dir, os.getpid())
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
        """Wait for a first picture: first for the eyes to start, then `camera_wait_s` for the camera."""
        began_s = time.monotonic()
        while not self._eyes_ready:
            self._pump(bus)
            self._keep_alive(job)
            if self._return_reason is not None:
                raise NightPatrolError("stopped before the start; the drone stayed on the ground")
            heard_s, patience_s = self._eyes_heard_s, self.settings.camera_wait_s
            if heard_s is None:
                heard_s, patience_s = began_s, _EYES_START_S
            if time.monotonic() - heard_s > patience_s:
                reason = self._camera_reason or f"the eyes do not start; see {job.folder}/eyes.log"
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
        while self._pump(bus, timeout_s=0.0):
            pass

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
            self._warn(
                f"{waiting} reports and pictures wait in {self.settings.outbox_path}; they are sent when the "
                "next patrol starts"
            )

    def _pump(self, bus: Bus, timeout_s: float = 0.2) -> bool:
        """Take note of one message and pass it on; False when none came in time."""
        message = bus.receive(timeout_s)
        if message is None:
            return False
        if isinstance(message, EyesStatus):
            self._totals.update(message)
            self._eyes_heard_s = self._eyes_heard_s or time.monotonic()
            self._eyes_ready = self._eyes_ready or message.camera == "ready"
            self._camera_reason = message.camera_reason
        elif isinstance(message, FlightStatus):
            self._event = SortieEvent(message.at_ns, message.state, message.reason)
        elif isinstance(message, SortieEvent):
            self._event = message
        elif isinstance(message, Notice) and message.level >= logging.ERROR:
            self._last_error = message.sentence
        self.observer(message)
        return True

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
        if self._is_done(child.name, code):
            child.finished = True
            return
        if code == _USAGE_EXIT and "flight" not in self._children:
            raise NightPatrolError(f"{child.name} cannot run: {self._last_error}")
        if now_s - child.started_at_s > _WELL_AFTER_S:
            child.delay_s = _RESTART_FIRST_S
        child.restart_at_s = now_s + child.delay_s
        self._warn(
            f"{child.name} ended {_how(code)} and starts again in {child.delay_s:.1f} s; the drone flies on"
        )
        child.delay_s = min(child.delay_s * 2, _RESTART_MOST_S)

    def _is_done(self, name: Party, code: int) -> bool:
        """Whether a process that ended has done its work; any other is started again."""
        if name == "eyes":
            return code == 0  # a recording has come to its end
        if name == "uplink":
            return False
        if code == 0 or (self._event is not None and self._event.state.is_final):
            return True
        if code == EXIT_STOPPED or code < 0 or self._may_be_flying():
            return False
        # It gave up on the ground and said why.
        self._event = SortieEvent(time.time_ns(), SortieState.ABORTED, self._last_error)
        return True

    def _may_be_flying(self) -> bool:
        """What the record says, which is on disk before the motors start; unreadable counts as yes."""
        try:
            record = read_record(self.settings.sortie_record_path)
        except RecordError:
            return True
        return record is not None and record.unfinished

    def _warn(self, sentence: str) -> None:
        self.observer(Notice("supervisor", logging.WARNING, sentence))

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
            refused = sum(delivery.sortie == self.sortie for delivery in outbox.set_aside())
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
            deliveries_refused=refused,
            called_home=self._return_reason,
            folder=job.folder,
        )


@contextlib.contextmanager
def _only_patrol_of(settings: EdgeSettings) -> Iterator[None]:
    """Hold the drone's lock: two patrols of one drone would share its record and its outbox."""
    path = settings.sortie_record_path.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{settings.drone}: another patrol of it is running; wait for that or name another drone"
            ) from error
        yield


def sortie_to_fly(record_path: Path) -> str:
    """The id of the sortie that a process before this one left unfinished, else a new one.

    Raises:
        RecordError: there is a record that cannot be read.
    """
    record = read_record(record_path)
    return record.sortie if record is not None and record.unfinished else str(uuid_utils.uuid7())


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
