"""What every process of one sortie is given: the job, the bus, a log and a stop signal."""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from patrol.domain.errors import NightPatrolError
from patrol.edge.bus import Bus, Notice, Party
from patrol.edge.settings import EdgeSettings

_LOG = logging.getLogger(__name__)

_JOB_FILE = "job.json"
_PARENT_CHECK_S = 1.0


@dataclass(frozen=True)
class Job:
    """One sortie: its id (a UUIDv7), its settings, and the run folder that holds the sockets."""

    sortie: str
    settings: EdgeSettings
    run_dir: Path

    @property
    def folder(self) -> Path:
        """Where everything of this sortie is kept."""
        return self.settings.sortie_dir(self.sortie)

    def write(self) -> None:
        """Leave the job in the run folder for the processes to read."""
        document = {"sortie": self.sortie, "settings": self.settings.model_dump(mode="json")}
        (self.run_dir / _JOB_FILE).write_text(json.dumps(document))

    @classmethod
    def read(cls, run_dir: Path) -> "Job":
        """Read the job that the supervisor wrote."""
        document = json.loads((run_dir / _JOB_FILE).read_text())
        return cls(document["sortie"], EdgeSettings(**document["settings"]), run_dir)


class _NoticeHandler(logging.Handler):
    """Passes warnings and errors on to the supervisor, so that people see them as sentences."""

    def __init__(self, bus: Bus, process: Party) -> None:
        super().__init__(logging.WARNING)
        self._bus = bus
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        # Only our own sentences are for people; what libraries say stays in the log file.
        if record.name.startswith("patrol."):
            self._bus.send("supervisor", Notice(self._process, record.levelno, record.getMessage()))


def run_process(me: Party, body: Callable[[Job, Bus, threading.Event], int]) -> None:
    """Run one process of a sortie to its end and exit with the code that `body` returns.

    The stop event is set by SIGTERM and when the supervisor is gone. Ctrl-C is the supervisor's to handle.
    """
    job = Job.read(Path(sys.argv[1]))
    bus = Bus(job.run_dir, me)
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _log_to_file(job, me)
    logging.getLogger().addHandler(_NoticeHandler(bus, me))
    threading.Thread(target=_stop_when_orphaned, args=(stop, os.getppid()), daemon=True).start()
    try:
        code = body(job, bus, stop)
    except NightPatrolError as error:
        _LOG.error("%s", error)
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it was, people get a sentence and the log the rest
        _LOG.debug("unexpected", exc_info=True)
        bus.send(
            "supervisor", Notice(me, logging.ERROR, f"{me} failed: {error!r}; see {job.folder}/{me}.log")
        )
        code = 1
    bus.close()
    logging.shutdown()
    # Library threads that still wait on a socket must not keep a finished process alive.
    os._exit(code)


def _log_to_file(job: Job, me: Party) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(job.folder / f"{me}.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("patrol").setLevel(logging.DEBUG)
    # httpx tells every request at INFO; twice a second that would drown the rest.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _stop_when_orphaned(stop: threading.Event, parent: int) -> None:
    while not stop.wait(_PARENT_CHECK_S):
        if os.getppid() != parent:
            _LOG.info("the supervisor is gone; this process ends and leaves the drone to its autopilot")
            stop.set()


@contextlib.contextmanager
def background(target: Callable[[threading.Event], None], stop: threading.Event) -> Iterator[None]:
    """Run `target(stop)` in a thread for the time of a `with` block."""
    thread = threading.Thread(target=target, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5.0)
