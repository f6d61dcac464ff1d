"""Turns changes of incidents into alert revisions with a redacted picture, and makes them durable."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from patrol.anomaly.incidents import IncidentChange
from patrol.domain.alerts import AlertReport, AlertSource, EvidenceReference
from patrol.domain.incidents import Incident
from patrol.edge.alerts import report_of, utc_from_ns
from patrol.edge.drawing import annotate
from patrol.edge.pipeline import FrameResult
from patrol.plan.market import MarketMap
from patrol.uplink.outbox import EvidenceFile
from patrol.video.redaction import blur_heads, encode_jpeg

Keep = Callable[[AlertReport, list[EvidenceFile]], object]


class AlertDesk:
    """Knows the open incidents of a sortie and hands each change of one to `keep`, which stores it."""

    def __init__(self, market: MarketMap, source: AlertSource, keep: Keep) -> None:
        self._market = market
        self._source = source
        self._keep = keep
        self._open: dict[str, Incident] = {}
        self._evidence: dict[str, EvidenceReference] = {}

    @property
    def open_incidents(self) -> int:
        """How many incidents are going on."""
        return len(self._open)

    @property
    def members(self) -> frozenset[int]:
        """The ids of the tracks that belong to an open incident."""
        return frozenset(
            track_id for incident in self._open.values() for track_id in incident.latest.track_ids
        )

    def handle(self, result: FrameResult) -> None:
        """Store a revision for each incident that this picture changed."""
        for change in result.changes:
            new = change.incident.incident_id not in self._evidence
            self._tell(change.incident, [self._snapshot(result, change.incident)] if new else [])

    def close(self, changes: Sequence[IncidentChange]) -> None:
        """Store the last revision of incidents that nobody watches any more."""
        for change in changes:
            self._tell(change.incident, [])

    def _tell(self, incident: Incident, files: list[EvidenceFile]) -> None:
        if incident.closed_at_ns is None:
            self._open[incident.incident_id] = incident
        else:
            self._open.pop(incident.incident_id, None)
        evidence = [self._evidence[incident.incident_id]]
        self._keep(report_of(incident, self._market, self._source, evidence), files)

    def _snapshot(self, result: FrameResult, incident: Incident) -> EvidenceFile:
        """The picture that opened the incident, every person's head made unrecognisable."""
        tracked = np.array([track.box_xyxy_px for track in result.tracks], dtype=np.float32).reshape(-1, 4)
        blurred = blur_heads(result.frame.pixels, np.vstack([result.people.boxes_xyxy_px, tracked]))
        members = frozenset(incident.latest.track_ids)
        caption = (
            f"{utc_from_ns(result.frame.captured_at_ns):%Y-%m-%d %H:%M:%S} UTC  {incident.latest.kind.value}"
        )
        jpeg = encode_jpeg(annotate(blurred, result, members, caption))
        sha256 = hashlib.sha256(jpeg).hexdigest()
        self._evidence[incident.incident_id] = EvidenceReference(
            kind="snapshot",
            sha256=sha256,
            media_type="image/jpeg",
            captured_at=utc_from_ns(result.frame.captured_at_ns),
            redacted=True,
        )
        return EvidenceFile(sha256, "image/jpeg", jpeg)
