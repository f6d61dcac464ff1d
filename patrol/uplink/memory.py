"""A station in memory: the twin of `StationClient` for tests and trials."""

import hashlib

from pydantic import TypeAdapter, ValidationError

from patrol.domain.alerts import AlertReport
from patrol.domain.live import LiveReport
from patrol.uplink.station import DeliveryRefused

_REPORT = TypeAdapter(AlertReport)


class MemoryStation:
    """Takes and refuses what a station takes and refuses, and keeps it.

    Attributes:
        alerts: what was taken, by (id, revision), in the order of arrival.
        evidence: pictures by sha256.
        live: the newest report of each drone.
        pictures: the newest picture of each drone.
        trouble: raised by every call while it is set, to play an outage.
    """

    def __init__(self) -> None:
        self.alerts: dict[tuple[str, int], AlertReport] = {}
        self.evidence: dict[str, bytes] = {}
        self.live: dict[str, LiveReport] = {}
        self.pictures: dict[str, bytes] = {}
        self.trouble: Exception | None = None

    def post_alert(self, body: bytes) -> None:
        """Take a revision; the same again is fine, another under the same number is not."""
        self._meet_trouble()
        try:
            report = _REPORT.validate_json(body)
        except ValidationError as error:
            raise DeliveryRefused(f"422: {error}") from error
        if self.alerts.setdefault((report.id, report.revision), report) != report:
            raise DeliveryRefused(
                f"409: alert {report.id} revision {report.revision} is known with another body"
            )

    def put_evidence(self, sha256: str, media_type: str, content: bytes) -> None:
        """Take a redacted JPEG that a known alert names and that hashes to its name."""
        self._meet_trouble()
        named = [item for report in self.alerts.values() for item in report.evidence if item.sha256 == sha256]
        if not named:
            raise DeliveryRefused(f"409: no alert names evidence {sha256}")
        if not any(item.redacted for item in named):
            raise DeliveryRefused(f"422: evidence {sha256} is not redacted")
        if media_type != "image/jpeg":
            raise DeliveryRefused(f"415: evidence {sha256} comes as {media_type}")
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DeliveryRefused(f"422: these bytes are not evidence {sha256}")
        self.evidence[sha256] = content

    def post_live(self, report: LiveReport) -> None:
        """Keep the newest state."""
        self._meet_trouble()
        self.live[report.drone] = report

    def put_picture(self, drone: str, jpeg: bytes) -> None:
        """Keep the newest picture."""
        self._meet_trouble()
        self.pictures[drone] = jpeg

    def _meet_trouble(self) -> None:
        if self.trouble is not None:
            raise self.trouble
