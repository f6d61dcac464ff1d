"""From an incident to the alert that people read: position with its error, place, and the order in words."""

from collections.abc import Sequence
from datetime import UTC, datetime

from patrol.domain.alerts import AlertPosition, AlertReport, AlertSource, EvidenceReference
from patrol.domain.incidents import Incident, Kind
from patrol.domain.positions import LocalText, covariance_matrix
from patrol.geo.ellipses import ellipse_90, radius_90_m
from patrol.plan.market import MarketMap
from patrol.plan.places import name_place


def utc_from_ns(at_ns: int) -> datetime:
    """The instant as a datetime with its zone, to the microsecond."""
    seconds, rest_ns = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)


def report_of(
    incident: Incident, market: MarketMap, source: AlertSource, evidence: Sequence[EvidenceReference]
) -> AlertReport:
    """Compose the revision of the alert that tells what is known of `incident` now."""
    latest = incident.latest
    covariance = covariance_matrix(latest.covariance_en_m2)
    radius_m = radius_90_m(covariance)
    place = name_place(market, latest.lat_deg, latest.lon_deg, latest.covariance_en_m2)
    return AlertReport(
        id=incident.incident_id,
        revision=incident.revision,
        kind=latest.kind,
        severity=latest.severity,
        raised_at=utc_from_ns(incident.opened_at_ns),
        updated_at=utc_from_ns(incident.updated_at_ns),
        ended_at=utc_from_ns(incident.closed_at_ns) if incident.closed_at_ns is not None else None,
        position=AlertPosition(
            lat=round(latest.lat_deg, 7),
            lon=round(latest.lon_deg, 7),
            radius_m_90=round(radius_m, 2),
            ellipse_90=ellipse_90(covariance),
        ),
        place=place,
        instruction=_instruction(latest.kind, place.name, latest.measure),
        measure=latest.measure,
        confidence=latest.confidence,
        evidence=tuple(evidence),
        source=source,
    )


_HAPPENINGS = {
    Kind.CROWDING: LocalText(zh="人群过密", en="dangerous crowding"),
    Kind.GATHERING: LocalText(zh="异常聚集", en="an unusual gathering"),
    Kind.DISPERSAL: LocalText(zh="人群突然散开", en="people scattering"),
    Kind.FIGHT: LocalText(zh="疑似打架", en="a possible fight"),
}


def _instruction(kind: Kind, place: LocalText, measure: dict[str, float]) -> LocalText:
    happening = _HAPPENINGS[kind]
    people = round(measure.get("people", 0))
    lasted_s = round(measure.get("lasted_s", 0))
    return LocalText(
        zh=f"{place.zh}出现{happening.zh}，至少{people}人，已持续{lasted_s}秒。未经核实，请前往查看处置。",
        en=f"{happening.en.capitalize()} at {place.en}: at least {people} people for {lasted_s} s so far. "
        "Not verified; go and see.",
    )
