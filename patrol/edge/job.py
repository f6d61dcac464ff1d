"""What every process of one sortie is given: the job, the bus, a log and a stop signal."""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from patrol.domain.errors import NightPatrolError
from patrol.edge.bus import Bus, Notice, Party
from patrol.edge.settings import EdgeSettings

_LOG = logging.getLogger(__name__)

_JOB_FILE = "job.json"
_PARENT_CHECK_S = 1.0
_THREAD_END_S = 5.0

EXIT_STOPPED = 3
"""Exit code of a process that was told to end before its work was done."""


@dataclass(frozen=True)
class Job:
    """One sortie: its id (a UUIDv7), its settings, the run folder with the sockets, the supervisor's pid."""

    sortie: str
    settings: EdgeSettings
    run_dir: Path
    supervisor: int

    @property
    def folder(self) -> Path:
        """Where everything of this sortie is kept."""
        return self.settings.sortie_dir(self.sortie)

    def write(self) -> None:
        """Leave the job in the run folder for the processes to read."""
        document = {
            "sortie": self.sortie,
            "supervisor": self.supervisor,
            "settings": self.settings.model_dump(mode="json"),
        }
        (self.run_dir / _JOB_FILE).write_text(json.dumps(document))

    @classmethod
    def read(cls, run_dir: Path) -> "Job":
        """Read the job that the supervisor wrote."""
        document = json.loads((run_dir / _JOB_FILE).read_text())
        settings = EdgeSettings(**document["settings"])
        return cls(document["sortie"], settings, run_dir, document["supervisor"])


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
    stop, told = threading.Event(), threading.Event()

    def tell(*_: object) -> None:
        told.set()
        stop.set()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, tell)
    _log_to_file(job, me)
    logging.getLogger().addHandler(_NoticeHandler(bus, me))
    threading.Thread(target=_tell_when_orphaned, args=(tell, job.supervisor), daemon=True).start()
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
    if told.is_set():
        code = EXIT_STOPPED
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


def _tell_when_orphaned(tell: Callable[[], None], supervisor: int) -> None:
    # The supervisor may have gone before this process had even started: look first, then wait.
    while os.getppid() == supervisor:
        time.sleep(_PARENT_CHECK_S)
    _LOG.info("the supervisor is gone; this process ends and leaves the drone to its autopilot")
    tell()


@contextlib.contextmanager
def background(target: Callable[[threading.Event], None], stop: threading.Event) -> Iterator[None]:
    """Run `target(stop)` in a thread for the time of a `with` block.

    When it fails, `stop` is set and the failure raised at the end of the block: a process that has lost one
    of its threads must end and be started again, not go on as half of itself.
    """
    failures: list[Exception] = []

    def guarded() -> None:
        try:
            target(stop)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is raised in the main thread
            failures.append(error)
            stop.set()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=_THREAD_END_S)
    if failures:
        raise failures[0]
