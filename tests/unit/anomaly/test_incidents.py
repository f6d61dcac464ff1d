"""One incident for one event, and news only when there is some."""

import itertools

import pytest

from patrol.anomaly.incidents import ChangeKind, IncidentBook, IncidentChange
from patrol.domain.incidents import Kind, Observation, Severity

START_NS = 1_750_000_000_000_000_000
LAT_PER_M = 1 / 111_000


def observed(
    time_s: float,
    east_m: float = 0.0,
    *,
    people: int = 5,
    severity: Severity = Severity.WATCH,
    kind: Kind = Kind.GATHERING,
    variance_m2: float = 0.25,
) -> Observation:
    return Observation(
        at_ns=START_NS + round(time_s * 1e9),
        kind=kind,
        severity=severity,
        zone="yard",
        lat_deg=31.3,
        lon_deg=120.6 + east_m * LAT_PER_M,
        east_m=east_m,
        north_m=0.0,
        covariance_en_m2=(variance_m2, 0.0, variance_m2),
        track_ids=(int(time_s), 7),
        measure={"people": float(people), "lasted_s": 20.0},
        confidence=0.9,
    )


class Patrol:
    """An incident book that is fed twice a second."""

    def __init__(self) -> None:
        numbers = itertools.count(1)
        self.book = IncidentBook(lambda: f"incident-{next(numbers)}")
        self.time_s = 0.0
        self.changes: list[IncidentChange] = []

    def look(self, seconds: float, *, in_view: bool = True, **what: object) -> list[IncidentChange]:
        """See the same for a while, or nothing when `what` is empty."""
        changes = []
        for _ in range(round(seconds * 2)):
            self.time_s += 0.5
            found = [observed(self.time_s, **what)] if what else []
            at_ns = START_NS + round(self.time_s * 1e9)
            changes += self.book.update(at_ns, found, lambda *_: in_view)
        self.changes += changes
        return changes


def told(changes: list[IncidentChange]) -> list[tuple[str, str, int]]:
    return [(change.kind.value, change.incident.incident_id, change.incident.revision) for change in changes]


def test_one_event_is_one_incident_and_tells_once():
    patrol = Patrol()
    changes = patrol.look(60, people=5)
    assert told(changes) == [("opened", "incident-1", 1)]
    incident = changes[0].incident
    assert incident.opened_at_ns == incident.updated_at_ns == START_NS + 500_000_000
    assert incident.closed_at_ns is None
    assert patrol.book.open_incidents == (incident,)


def test_it_closes_after_a_quiet_time_in_view():
    patrol = Patrol()
    patrol.look(5, people=5)
    assert told(patrol.look(29.5)) == []
    (closed,) = patrol.look(1)
    assert (closed.kind, closed.incident.revision) == (ChangeKind.CLOSED, 2)
    assert closed.incident.closed_at_ns == START_NS + 35_000_000_000
    assert closed.incident.track_ids == (0, 1, 2, 3, 4, 5, 7)
    assert patrol.book.open_incidents == ()


def test_it_stays_open_while_nobody_looks():
    patrol = Patrol()
    patrol.look(5, people=5)
    assert told(patrol.look(600, in_view=False)) == []
    assert told(patrol.look(20, people=5)) == []  # still the same when the drone comes round again


def test_a_gap_in_the_stream_is_not_time_spent_looking():
    patrol = Patrol()
    patrol.look(5, people=5)
    patrol.time_s += 100
    assert told(patrol.look(25)) == []


def test_it_opens_again_as_the_same_incident_within_five_minutes():
    patrol = Patrol()
    patrol.look(5, people=5, severity=Severity.WARNING)
    patrol.look(31)
    patrol.look(200)
    (again,) = patrol.look(1, people=5)
    assert told([again]) == [("updated", "incident-1", 3)]
    assert again.incident.closed_at_ns is None
    assert again.incident.latest.severity is Severity.WATCH  # severity only holds while it is open
    # What has lasted is this flare, not the quiet before it.
    assert again.incident.latest.measure["lasted_s"] == 20.0


def test_later_it_is_a_new_incident():
    patrol = Patrol()
    patrol.look(5, people=5)
    patrol.look(31)
    patrol.look(301)
    assert told(patrol.look(1, people=5)) == [("opened", "incident-2", 1)]


@pytest.mark.parametrize(
    ("east_m", "variance_m2", "same"),
    [(4.9, 0.0, True), (5.1, 0.0, False), (7.9, 1.0, True), (8.1, 1.0, False)],
)
def test_place_decides_with_its_uncertainty(east_m, variance_m2, same):
    patrol = Patrol()
    patrol.look(1, variance_m2=variance_m2)
    opened = patrol.look(0.5, east_m=east_m, variance_m2=variance_m2)
    assert bool(opened) is not same  # 5 m, plus 2.146 times the standard deviation of both together


def test_another_kind_is_another_incident():
    patrol = Patrol()
    patrol.look(1, people=5)
    assert told(patrol.look(1, kind=Kind.FIGHT)) == [("opened", "incident-2", 1)]


def test_rising_severity_is_told_at_once_and_falling_is_not():
    patrol = Patrol()
    patrol.look(1, people=5)
    (risen,) = patrol.look(1, severity=Severity.WARNING)
    assert (risen.kind, risen.incident.latest.severity) == (ChangeKind.UPDATED, Severity.WARNING)
    assert told(patrol.look(60, severity=Severity.WATCH)) == []
    patrol.look(31)
    assert patrol.changes[-1].incident.latest.severity is Severity.WARNING


def test_more_people_are_told_after_a_while_and_flicker_is_not():
    patrol = Patrol()
    patrol.look(1, people=5)
    assert told(patrol.look(8, people=9)) == []  # too soon
    (grown,) = patrol.look(3, people=9)
    assert grown.incident.latest.measure["people"] == 9
    for _ in range(20):
        assert told(patrol.look(5, people=5) + patrol.look(5, people=11)) == []


def test_moving_on_is_told():
    patrol = Patrol()
    for step in range(80):
        patrol.look(0.5, east_m=0.2 * step)
    assert {change.incident.incident_id for change in patrol.changes} == {"incident-1"}
    assert 2 <= len(patrol.changes) <= 4
    assert patrol.changes[-1].incident.latest.east_m > 5


def test_the_place_and_its_error_are_those_last_observed():
    patrol = Patrol()
    patrol.look(20, east_m=0.0, variance_m2=1.0)
    patrol.look(20, east_m=2.0, variance_m2=0.25)
    (closed,) = patrol.book.close(START_NS + 200_000_000_000)
    assert closed.incident.latest.east_m == 2.0
    assert closed.incident.latest.covariance_en_m2 == (0.25, 0.0, 0.25)


def test_two_groups_of_one_event_in_one_picture_are_one_incident():
    patrol = Patrol()
    changes = patrol.book.update(START_NS, [observed(0, 0.0), observed(0, 3.0, people=8)], lambda *_: True)
    assert told(changes) == [("opened", "incident-1", 1)]
    assert changes[0].incident.latest.measure["people"] == 8


def test_it_lasts_since_its_beginning_across_breaks():
    patrol = Patrol()
    patrol.look(1, people=5)  # says that it lasts for 20 s already
    patrol.look(100, in_view=False)
    (risen,) = patrol.look(0.5, severity=Severity.CRITICAL)
    assert risen.incident.latest.measure["lasted_s"] == pytest.approx(20 + 101)


def test_the_end_of_the_patrol_closes_what_is_open():
    patrol = Patrol()
    patrol.look(1, people=5)
    (closed,) = patrol.book.close(START_NS + 9_000_000_000)
    assert (closed.kind, closed.incident.closed_at_ns) == (ChangeKind.CLOSED, START_NS + 9_000_000_000)
    assert patrol.book.close(START_NS + 9_000_000_000) == []
