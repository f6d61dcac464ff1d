"""From observations to incidents: one incident for one event, and a revision only when there is news."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from patrol.domain.incidents import Incident, Observation

_SECOND_NS = 1_000_000_000
_RADIUS_90 = 2.146  # of the bivariate normal, in standard deviations: sqrt(-2 ln 0.1)


class ChangeKind(StrEnum):
    """What happened to an incident. One that starts again is updated."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


@dataclass(frozen=True)
class IncidentChange:
    """News of an incident, which is as of now."""

    kind: ChangeKind
    incident: Incident


@dataclass(frozen=True)
class IncidentParameters:
    """When two observations mean one event, and what is worth telling.

    Attributes:
        same_place_m: events of a kind nearer than this, plus what their positions are uncertain by, are one.
        quiet_s: closed after so long without an observation while its place was in view.
        reopen_s: what starts again within this time after closing is the same incident.
        longest_step_s: of the time between two pictures, no more than this counts as having looked.
        people_step: news when so many more people are there than told before.
        move_m: news when it has moved so far from where it was told to be.
        telling_interval_s: no news sooner than this after the last, unless the severity rises.
    """

    same_place_m: float = 5.0
    quiet_s: float = 30.0
    reopen_s: float = 300.0
    longest_step_s: float = 1.0
    people_step: int = 3
    move_m: float = 5.0
    telling_interval_s: float = 10.0


class _Event:
    """An incident, with what is known of it since its last revision."""

    def __init__(self, observation: Observation, incident_id: str) -> None:
        self.now = observation
        self.began_ns = _begin_ns(observation)
        self.quiet_ns = 0
        self.most_people_told = 0
        self.told = Incident(
            incident_id=incident_id,
            revision=0,
            opened_at_ns=observation.at_ns,
            updated_at_ns=observation.at_ns,
            closed_at_ns=None,
            latest=observation,
            track_ids=observation.track_ids,
        )
        self._track_ids = set(observation.track_ids)

    @property
    def is_open(self) -> bool:
        return self.told.closed_at_ns is None

    def distance_m(self, observation: Observation, same_place_m: float) -> float | None:
        """Return how far away an observation of this event was made, None when it is of another one."""
        if observation.kind != self.now.kind:
            return None
        offset_m = np.array([observation.east_m - self.now.east_m, observation.north_m - self.now.north_m])
        distance_m = float(np.hypot(*offset_m))
        east, north = offset_m / max(distance_m, 1e-9)
        var_e, cov_en, var_n = np.add(observation.covariance_en_m2, self.now.covariance_en_m2)
        sigma_m = np.sqrt(east**2 * var_e + 2 * east * north * cov_en + north**2 * var_n)
        return distance_m if distance_m <= same_place_m + _RADIUS_90 * sigma_m else None

    def take(self, observation: Observation) -> None:
        """Follow an observation. Of several in one picture the first and gravest tells the place."""
        was = self.now
        place = observation if observation.at_ns > was.at_ns else was
        if not self.is_open:
            # It flares up again: what people are told to have lasted is this flare, not the quiet before it.
            self.began_ns = _begin_ns(observation)
        measure = dict(observation.measure)
        if "lasted_s" in measure:
            measure["lasted_s"] = (observation.at_ns - self.began_ns) / _SECOND_NS
        rises = observation.severity.rank > was.severity.rank
        self.now = replace(
            observation,
            severity=was.severity if self.is_open and not rises else observation.severity,
            lat_deg=place.lat_deg,
            lon_deg=place.lon_deg,
            east_m=place.east_m,
            north_m=place.north_m,
            covariance_en_m2=place.covariance_en_m2,
            measure=measure,
        )
        self._track_ids.update(observation.track_ids)
        self.quiet_ns = 0

    def tell(self, at_ns: int, *, closed: bool = False) -> Incident:
        """Make the next revision."""
        self.told = replace(
            self.told,
            revision=self.told.revision + 1,
            updated_at_ns=at_ns,
            closed_at_ns=at_ns if closed else None,
            latest=self.now,
            track_ids=tuple(sorted(self._track_ids)),
        )
        self.most_people_told = max(self.most_people_told, _people(self.now))
        return self.told


class IncidentBook:
    """Keeps the incidents of one sortie."""

    def __init__(self, new_id: Callable[[], str], parameters: IncidentParameters | None = None) -> None:
        """Start empty. `new_id` gives a UUIDv7 for each new incident."""
        self._new_id = new_id
        self._parameters = parameters or IncidentParameters()
        self._events: list[_Event] = []
        self._last_ns: int | None = None

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """The incidents that are open, as last told."""
        return tuple(event.told for event in self._events if event.is_open)

    def update(
        self, at_ns: int, observations: Sequence[Observation], in_view: Callable[[float, float], bool]
    ) -> list[IncidentChange]:
        """Take the observations of the picture captured at `at_ns`; return what is worth telling.

        Args:
            at_ns: UTC capture time of the picture.
            observations: what the rules found in it, perhaps nothing.
            in_view: tells whether the picture shows the place (lat_deg, lon_deg); an incident at which nobody
                looks stays open.
        """
        step_ns = max(0, at_ns - (at_ns if self._last_ns is None else self._last_ns))
        step_ns = min(step_ns, round(self._parameters.longest_step_s * _SECOND_NS))
        self._last_ns = at_ns
        changes: list[IncidentChange] = []
        for event in self._events:
            if event.is_open and in_view(event.now.lat_deg, event.now.lon_deg):
                event.quiet_ns += step_ns
        for observation in sorted(observations, key=lambda found: (-found.severity.rank, -_people(found))):
            changes += self._take(observation)
        for event in self._events:
            if event.is_open and event.quiet_ns >= self._parameters.quiet_s * _SECOND_NS:
                changes.append(IncidentChange(ChangeKind.CLOSED, event.tell(at_ns, closed=True)))
        self._events = [event for event in self._events if event.is_open or self._may_reopen(event, at_ns)]
        return changes

    def close(self, at_ns: int) -> list[IncidentChange]:
        """Close every open incident: the patrol is over."""
        return [
            IncidentChange(ChangeKind.CLOSED, event.tell(at_ns, closed=True))
            for event in self._events
            if event.is_open
        ]

    def _take(self, observation: Observation) -> list[IncidentChange]:
        """Give an observation to the nearest event that it can belong to, else begin one."""
        near = []
        for i, event in enumerate(self._events):
            distance_m = event.distance_m(observation, self._parameters.same_place_m)
            if distance_m is not None:
                near.append((not event.is_open, distance_m, i))
        if not near:
            event = _Event(observation, self._new_id())
            self._events.append(event)
            return [IncidentChange(ChangeKind.OPENED, event.tell(observation.at_ns))]
        event = self._events[min(near)[2]]
        if event.is_open and event.now.at_ns == observation.at_ns:
            return []  # another observation of this picture, a graver one, has spoken for the event already
        event.take(observation)
        if not event.is_open or self._is_news(event):
            return [IncidentChange(ChangeKind.UPDATED, event.tell(observation.at_ns))]
        return []

    def _is_news(self, event: _Event) -> bool:
        now, told, parameters = event.now, event.told, self._parameters
        if now.severity.rank > told.latest.severity.rank:
            return True
        if now.at_ns - told.updated_at_ns < parameters.telling_interval_s * _SECOND_NS:
            return False
        moved_m = np.hypot(now.east_m - told.latest.east_m, now.north_m - told.latest.north_m)
        more_people = _people(now) - event.most_people_told
        return bool(moved_m >= parameters.move_m or more_people >= parameters.people_step)

    def _may_reopen(self, event: _Event, at_ns: int) -> bool:
        closed_at_ns = event.told.closed_at_ns
        return closed_at_ns is None or at_ns - closed_at_ns <= self._parameters.reopen_s * _SECOND_NS


def _begin_ns(observation: Observation) -> int:
    return observation.at_ns - round(observation.measure.get("lasted_s", 0.0) * _SECOND_NS)


def _people(observation: Observation) -> int:
    return int(observation.measure.get("people", 0))
