"""Holds alert reports and their pictures from the moment they are made until the station has them.

Everything lies in one SQLite file, pictures as blobs beside their report: one transaction makes both durable,
and no picture is ever left without its report. At some 100 kB a picture SQLite is as fast as files.
"""

import hashlib
import itertools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from patrol.domain.alerts import AlertReport
from patrol.domain.errors import NightPatrolError

_log = logging.getLogger(__name__)

_REPORT = TypeAdapter(AlertReport)
_JSON = "application/json"
_BUSY_TIMEOUT_S = 5.0
_NEWS_POLL_S = 0.1  # how soon what another process has put is noticed
# What was sent is remembered, without its content, so that it is not sent again and can be counted.
_REMEMBER_NS = 7 * 86_400 * 1_000_000_000
_UNWRITTEN_SEQUENCE = 2**62  # what is only in memory comes after all that is in the file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    name TEXT NOT NULL,
    sortie TEXT NOT NULL,
    media_type TEXT NOT NULL,
    put_at_ns INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT '',
    content BLOB NOT NULL,
    UNIQUE (kind, alert_id, name)
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_by_state ON deliveries (state);
"""
_INSERT = """
INSERT OR IGNORE INTO deliveries (kind, alert_id, name, sortie, media_type, put_at_ns, content)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_MARK = """
UPDATE deliveries SET state = ?1, reason = ?2, content = iif(?1 = 'sent', x'', content)
WHERE kind = ?3 AND alert_id = ?4 AND name = ?5
"""
_PRUNE = "DELETE FROM deliveries WHERE state = 'sent' AND put_at_ns < ?"
_IN_STATE = """
SELECT sequence, kind, alert_id, name, sortie, media_type, put_at_ns, reason
FROM deliveries WHERE state = ? ORDER BY sequence
"""
_CONTENT = "SELECT content FROM deliveries WHERE kind = ? AND alert_id = ? AND name = ?"
_ALERTS_OF_SORTIE = """
SELECT alert_id, min(state = 'sent') FROM deliveries WHERE kind = 'alert' AND sortie = ? GROUP BY alert_id
"""


class OutboxError(NightPatrolError):
    """The outbox cannot be opened."""


class DeliveryKind(StrEnum):
    """What is delivered, in the order of importance."""

    ALERT = "alert"
    EVIDENCE = "evidence"


DeliveryKey = tuple[DeliveryKind, str, str]


@dataclass(frozen=True)
class EvidenceFile:
    """A picture or clip that goes with a report."""

    sha256: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Delivery:
    """One thing to be delivered, without its content.

    Attributes:
        sequence: order of putting.
        kind: a revision of an alert, or evidence for one.
        alert_id, name: the alert, and the number of the revision or the sha256 of the evidence.
        sortie: the flight it comes from.
        media_type: of the content.
        put_at_ns: UTC.
        reason: why the station will never take it, empty while it may.
    """

    sequence: int
    kind: DeliveryKind
    alert_id: str
    name: str
    sortie: str
    media_type: str
    put_at_ns: int
    reason: str = ""

    @property
    def key(self) -> DeliveryKey:
        """What makes it one and the same."""
        return self.kind, self.alert_id, self.name


@dataclass(frozen=True)
class OutboxStatus:
    """How full the outbox is.

    Attributes:
        waiting: deliveries to be sent.
        oldest_age_s: how long the oldest of them has waited, 0 without any.
        set_aside: deliveries that the station refused for good.
        trouble: a sentence while something cannot be written, else empty.
    """

    waiting: int
    oldest_age_s: float
    set_aside: int
    trouble: str


class Outbox:
    """A durable queue. Several processes may open the same file, several threads may share one object.

    What `put` has written survives the death of the process and of the machine (WAL, synchronous=FULL). On a
    full disk it stays in memory, can be sent from there, and is written once there is room.

    Raises:
        OutboxError: the file cannot be opened as an outbox.
    """

    def __init__(self, path: Path, utc_ns: Callable[[], int] = time.time_ns) -> None:
        """Open or create the outbox at `path`."""
        self._path = path
        self._utc_ns = utc_ns
        self._lock = threading.RLock()
        self._news = threading.Event()
        self._counter = itertools.count()
        self._unwritten: dict[DeliveryKey, tuple[Delivery, bytes]] = {}
        self._unmarked: dict[DeliveryKey, tuple[str, str]] = {}
        self._trouble = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
            self._data_version = self._read_data_version()
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(
                f"{path}: cannot be opened as an outbox: {error}; look at its disk or move it away"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def put(self, report: AlertReport, evidence: Sequence[EvidenceFile] = ()) -> bool:
        """Take a report and its evidence, all or nothing; True when they are safe on the disk.

        A revision or a picture of an alert that was put before is taken once.

        Raises:
            ValueError: the bytes of a picture do not hash to its name.
        """
        for item in evidence:
            if hashlib.sha256(item.content).hexdigest() != item.sha256:
                raise ValueError(f"evidence {item.sha256}: its bytes have another sha256")
        parts = [(DeliveryKind.ALERT, str(report.revision), _JSON, _REPORT.dump_json(report))]
        parts += [(DeliveryKind.EVIDENCE, item.sha256, item.media_type, item.content) for item in evidence]
        with self._lock:
            for kind, name, media_type, content in parts:
                sequence = _UNWRITTEN_SEQUENCE + next(self._counter)
                sortie = report.source.sortie
                delivery = Delivery(sequence, kind, report.id, name, sortie, media_type, self._utc_ns())
                self._unwritten.setdefault(delivery.key, (delivery, content))
            written = self.flush()
        self._news.set()
        return written

    def flush(self) -> bool:
        """Write what is only in memory; True when nothing of it is left."""
        with self._lock:
            if not self._unwritten and not self._unmarked:
                return True
            try:
                self._write()
            except sqlite3.Error as error:
                self._report_trouble(error)
                return False
            if self._trouble:
                _log.info("%s: can be written again; everything is safe", self._path)
                self._trouble = ""
            self._unwritten.clear()
            self._unmarked.clear()
            return True

    def pending(self) -> list[Delivery]:
        """Return what is to be sent: alerts before evidence, each in the order of putting."""
        with self._lock:
            known = {key: delivery for key, (delivery, _) in self._unwritten.items()}
            known |= {delivery.key: delivery for delivery in self._in_state("waiting")}
            waiting = [delivery for key, delivery in known.items() if key not in self._unmarked]
        return sorted(waiting, key=lambda delivery: (delivery.kind, delivery.sequence))

    def set_aside(self) -> list[Delivery]:
        """Return what the station refused for good, with its reasons, in the order of putting."""
        with self._lock:
            return self._in_state("refused")

    def content(self, delivery: Delivery) -> bytes:
        """Return the body of a delivery that has not been sent.

        Raises:
            KeyError: it is not known.
        """
        with self._lock:
            if delivery.key in self._unwritten:
                return self._unwritten[delivery.key][1]
            row = self._database.execute(_CONTENT, delivery.key).fetchone()
        if row is None:
            raise KeyError(delivery.key)
        return bytes(row[0])

    def mark_sent(self, delivery: Delivery) -> None:
        """Note that the station has it."""
        self._mark(delivery, "sent")

    def refuse(self, delivery: Delivery, reason: str) -> None:
        """Set a delivery aside: it is not tried again and stays in the file for people to look at."""
        self._mark(delivery, "refused", reason)

    def wait_for_news(self, timeout_s: float) -> bool:
        """Wait until something was put: by this object at once, by another process within 0.1 s."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            if self._news.wait(max(0.0, min(left_s, _NEWS_POLL_S))):
                self._news.clear()
                return True
            with self._lock:
                before, self._data_version = self._data_version, self._read_data_version()
            if before != self._data_version:
                return True
            if left_s <= 0:
                return False

    def depth(self) -> int:
        """How many deliveries are to be sent."""
        return len(self.pending())

    def counts(self, sortie: str) -> tuple[int, int]:
        """Return how many alerts a sortie has put, and of how many the station has every revision."""
        with self._lock:
            rows = self._database.execute(_ALERTS_OF_SORTIE, (sortie,))
            sent = {alert_id: bool(all_sent) for alert_id, all_sent in rows}
            for delivery, _ in self._unwritten.values():
                if delivery.sortie == sortie and delivery.kind is DeliveryKind.ALERT:
                    sent[delivery.alert_id] = False
        return len(sent), sum(sent.values())

    def status(self) -> OutboxStatus:
        """Return how full the outbox is."""
        pending = self.pending()
        oldest_ns = min((delivery.put_at_ns for delivery in pending), default=self._utc_ns())
        return OutboxStatus(
            waiting=len(pending),
            oldest_age_s=max(0, self._utc_ns() - oldest_ns) / 1e9 if pending else 0.0,
            set_aside=len(self.set_aside()),
            trouble=self._trouble,
        )

    def _mark(self, delivery: Delivery, state: str, reason: str = "") -> None:
        with self._lock:
            self._unmarked[delivery.key] = (state, reason)
            self.flush()

    def _write(self) -> None:
        with self._transaction():
            self._database.executemany(
                _INSERT,
                [
                    (*d.key, d.sortie, d.media_type, d.put_at_ns, content)
                    for d, content in self._unwritten.values()
                ],
            )
            self._database.executemany(_MARK, [(*mark, *key) for key, mark in self._unmarked.items()])
            self._database.execute(_PRUNE, (self._utc_ns() - _REMEMBER_NS,))

    def _in_state(self, state: str) -> list[Delivery]:
        rows = self._database.execute(_IN_STATE, (state,))
        return [Delivery(sequence, DeliveryKind(kind), *rest) for sequence, kind, *rest in rows]

    def _read_data_version(self) -> int:
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # on a full disk SQLite has rolled back by itself
                self._database.execute("ROLLBACK")
            raise

    def _report_trouble(self, error: sqlite3.Error) -> None:
        first = not self._trouble
        self._trouble = (
            f"{self._path}: cannot be written ({error}); alerts are in memory only until the disk has room"
        )
        if first:
            _log.error("%s", self._trouble)
