"""People who draw together: so many within so small a circle for so long, in one place."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from patrol.anomaly.discs import fullest_discs
from patrol.domain.incidents import Kind, Observation, Severity
from patrol.domain.positions import GroundTrack, Spread
from patrol.geo.frames import LocalFrame
from patrol.geo.fusion import CorrelationTimes, FusedPosition, View, ViewBook

_SECOND_NS = 1_000_000_000
_RULE_HOLDS_NS = _SECOND_NS  # so long a person is taken to be under the same rule; nobody walks far in it


@dataclass(frozen=True)
class GatheringRule:
    """From when on people who stand together are a gathering in one zone (None: outside every zone)."""

    zone: str | None
    min_people: int
    radius_m: float
    hold_s: float


RuleAt = Callable[[float, float, int], GatheringRule]
"""The rule that holds at (lat_deg, lon_deg, at_ns)."""


@dataclass(frozen=True)
class GatheringParameters:
    """How the detector deals with what is not exact.

    Attributes:
        smooth_s: positions are the median of this time. The foot of a box jitters by some 5 % of its height
            from picture to picture, 0.1 to 0.3 m on the ground; the median of a second takes most of it away
            and delays a walking person by half a second.
        gap_s: so long a group may be short of people without starting anew, and so long a lost person stays
            in it. A passer-by hides somebody for less than a second, and detectors lose a person for several
            pictures in a row.
        drift_mps: a gathering stays where it is. Its place follows the people at this speed at most, so that
            a group that mills about (0.5 m/s) is one gathering and one that walks through (1.3 m/s, Weidmann
            1993) leaves its place behind.
        views: so many of the latest seconds are fused to its place.
        correlation: how long the errors of that place last.
        warning_hold_factor: warning when it lasts this many times the rule's hold_s.
        warning_people_factor: warning when it grows to this many times the rule's min_people.
    """

    smooth_s: float = 1.0
    gap_s: float = 1.5
    drift_mps: float = 0.5
    views: int = 10
    correlation: CorrelationTimes = field(default_factory=CorrelationTimes)
    warning_hold_factor: float = 3.0
    warning_people_factor: float = 2.0


@dataclass(frozen=True)
class _Person:
    """Where somebody is, smoothed."""

    track_id: int
    east_m: float
    north_m: float
    lat_deg: float
    lon_deg: float
    spread_en_m: Spread


@dataclass(frozen=True)
class _Group:
    """People who are together in this picture."""

    rule: GatheringRule
    people: tuple[_Person, ...]

    @property
    def track_ids(self) -> frozenset[int]:
        return frozenset(person.track_id for person in self.people)

    @property
    def centre(self) -> NDArray[np.float64]:
        """East, north, latitude, longitude: the mean of the people."""
        places = [(person.east_m, person.north_m, person.lat_deg, person.lon_deg) for person in self.people]
        return np.asarray(np.mean(places, axis=0))

    @property
    def spread_en_m(self) -> NDArray[np.float64]:
        """(2, K) errors of the centre, by source: what moves one person, wrong attitude above all, moves all.

        Even the error of the feet is taken to be the same for all, for boxes err in one direction, too.
        """
        return np.asarray(np.mean([person.spread_en_m for person in self.people], axis=0))

    @property
    def radius_m(self) -> float:
        """Of the smallest circle around all of them."""
        places = np.array([(person.east_m, person.north_m) for person in self.people])
        _, radius_m = cv2.minEnclosingCircle((places - places[0]).astype(np.float32))
        return float(radius_m)


class _Gathering:
    """A group followed through the pictures at its place."""

    def __init__(self, at_ns: int, group: _Group, parameters: GatheringParameters) -> None:
        self.began_ns = self.seen_ns = at_ns
        self.group = group
        self._parameters = parameters
        self._place_m = group.centre[:2]
        self._views = ViewBook(most=parameters.views, correlation=parameters.correlation)
        self._pictures = self._pictures_seen = 0
        self._counts: deque[tuple[int, int]] = deque()
        self.take(at_ns, group)

    def take(self, at_ns: int, group: _Group | None) -> None:
        """Take what is here in the next picture: a group or nobody. The place follows the group slowly."""
        self._pictures += 1
        if group is None:
            return
        offset_m = group.centre[:2] - self._place_m
        reach_m = self._parameters.drift_mps * (at_ns - self.seen_ns) / _SECOND_NS
        self._place_m = self._place_m + offset_m * min(1.0, reach_m / max(float(np.hypot(*offset_m)), 1e-9))
        self.seen_ns, self.group = at_ns, group
        self._pictures_seen += 1
        self._views.add(View(at_ns, float(group.centre[0]), float(group.centre[1]), group.spread_en_m))
        self._counts.append((at_ns, len(group.people)))
        while self._counts[0][0] < at_ns - self._parameters.smooth_s * _SECOND_NS:
            self._counts.popleft()

    def distance_m(self, group: _Group) -> float:
        """From the place to the centre of a group."""
        return float(np.hypot(*(group.centre[:2] - self._place_m)))

    @property
    def place(self) -> FusedPosition:
        """Where the latest views together put its centre."""
        fused = self._views.fused()
        assert fused is not None, "a gathering begins with a group"  # noqa: S101
        return fused

    @property
    def lasted_s(self) -> float:
        """From its beginning to when it was last seen."""
        return (self.seen_ns - self.began_ns) / _SECOND_NS

    @property
    def people(self) -> int:
        """The median number of people lately; of two middle ones the lower."""
        counts = sorted(count for _, count in self._counts)
        return counts[(len(counts) - 1) // 2]

    @property
    def confidence(self) -> float:
        """The share of pictures since its beginning that showed enough people."""
        return self._pictures_seen / self._pictures

    @property
    def holds(self) -> bool:
        """True once it has lasted as long as the rule says."""
        return self.lasted_s >= self.group.rule.hold_s

    @property
    def severity(self) -> Severity:
        """Watch; warning when it lasts or grows far beyond its rule."""
        rule, parameters = self.group.rule, self._parameters
        if self.lasted_s >= parameters.warning_hold_factor * rule.hold_s:
            return Severity.WARNING
        if self.people >= parameters.warning_people_factor * rule.min_people:
            return Severity.WARNING
        return Severity.WATCH


class GatheringDetector:
    """Finds gatherings in the ground tracks of one picture after another.

    In each picture groups are the fullest discs of the rule's radius, so that everyone in one lies within
    that radius of a common centre (see `fullest_discs`). A group continues the gathering whose place it still
    covers: tracks break in a crowd and change their numbers, so these only decide between several groups.
    A gathering that is short of people for longer than `gap_s` is over.
    """

    def __init__(self, rule_at: RuleAt, parameters: GatheringParameters | None = None) -> None:
        """Use the rule that `rule_at` gives for each place and time."""
        self._rule_at = rule_at
        self._parameters = parameters or GatheringParameters()
        self._trails: dict[int, deque[GroundTrack]] = {}
        self._rules: dict[int, tuple[int, GatheringRule]] = {}
        self._gatherings: list[_Gathering] = []
        self._last_ns = 0
        self._smooth_ns = round(self._parameters.smooth_s * _SECOND_NS)
        self._gap_ns = round(self._parameters.gap_s * _SECOND_NS)

    def update(self, at_ns: int, tracks: Sequence[GroundTrack]) -> list[Observation]:
        """Take the tracks of the picture captured at `at_ns` (UTC); return an observation of each gathering.

        Its `confidence` is the share of pictures, since the gathering began, that showed enough people; its
        `measure` holds people (median over `smooth_s`), radius_m (of the smallest circle around them) and
        lasted_s. Its position is the mean of the people in the latest views, fused with respect to the errors
        that those share.

        A picture that is not later than the one before starts everything anew: the source's clock was set.
        """
        if at_ns <= self._last_ns:
            self._trails.clear()
            self._rules.clear()
            self._gatherings.clear()
        self._last_ns = at_ns
        self._follow(at_ns, self._groups(at_ns, self._smoothed(at_ns, tracks)))
        return [
            _observation(gathering)
            for gathering in self._gatherings
            if gathering.seen_ns == at_ns and gathering.holds
        ]

    def _smoothed(self, at_ns: int, tracks: Sequence[GroundTrack]) -> list[_Person]:
        """Return the people of this picture by the median of their trails, without those long lost."""
        people = []
        for track in sorted(tracks, key=lambda track: track.track_id):
            trail = self._trails.setdefault(track.track_id, deque())
            if track.observed:
                trail.append(track)
            while len(trail) > 1 and trail[0].at_ns < at_ns - self._smooth_ns:
                trail.popleft()
            if trail and trail[-1].at_ns >= at_ns - self._gap_ns:
                people.append(_median_person(trail))
        self._trails = {
            track_id: trail
            for track_id, trail in self._trails.items()
            if trail and trail[-1].at_ns >= at_ns - self._gap_ns
        }
        return people

    def _groups(self, at_ns: int, people: list[_Person]) -> list[_Group]:
        """Return who is together by a rule that holds at the centre of the group."""
        places = np.array([(person.east_m, person.north_m) for person in people]).reshape(-1, 2)
        groups = []
        for rule in self._rules_among(at_ns, people):

            def holds_there(members: NDArray[np.intp], rule: GatheringRule = rule) -> bool:
                _, _, lat_deg, lon_deg = _Group(rule, tuple(people[i] for i in members)).centre
                return self._rule_at(float(lat_deg), float(lon_deg), at_ns) == rule

            groups += [
                _Group(rule, tuple(people[i] for i in members))
                for members in fullest_discs(places, rule.radius_m, rule.min_people, holds_there)
            ]
        return groups

    def _rules_among(self, at_ns: int, people: list[_Person]) -> list[GatheringRule]:
        """Return the rules that hold where people are, each once; asking where each one is takes a while."""
        rules = {}
        for person in people:
            asked_ns, rule = self._rules.get(person.track_id, (0, None))
            if rule is None or at_ns - asked_ns >= _RULE_HOLDS_NS:
                asked_ns, rule = at_ns, self._rule_at(person.lat_deg, person.lon_deg, at_ns)
            rules[person.track_id] = asked_ns, rule
        self._rules = rules
        return list(dict.fromkeys(rule for _, rule in rules.values()))

    def _follow(self, at_ns: int, groups: list[_Group]) -> None:
        """Let each group continue the gathering at its place, or begin one; end those short of people."""
        pairs = []
        for i, gathering in enumerate(self._gatherings):
            for j, group in enumerate(groups):
                distance_m = gathering.distance_m(group)
                if distance_m <= group.rule.radius_m:
                    shared = len(gathering.group.track_ids & group.track_ids)
                    pairs.append((-shared, distance_m, i, j))
        continued: dict[int, int] = {}
        for _, _, i, j in sorted(pairs):
            if i not in continued and j not in continued.values():
                continued[i] = j
        for i, gathering in enumerate(self._gatherings):
            gathering.take(at_ns, groups[continued[i]] if i in continued else None)
        self._gatherings = [
            gathering for gathering in self._gatherings if gathering.seen_ns >= at_ns - self._gap_ns
        ] + [
            _Gathering(at_ns, group, self._parameters)
            for j, group in enumerate(groups)
            if j not in continued.values()
        ]


def _observation(gathering: _Gathering) -> Observation:
    group = gathering.group
    centre_east_m, centre_north_m, centre_lat_deg, centre_lon_deg = (float(value) for value in group.centre)
    place = gathering.place
    lat_deg, lon_deg = LocalFrame(centre_lat_deg, centre_lon_deg).to_geodetic(
        place.east_m - centre_east_m, place.north_m - centre_north_m
    )
    (var_e, cov_en), (_, var_n) = place.covariance_en_m2.tolist()
    return Observation(
        at_ns=gathering.seen_ns,
        kind=Kind.GATHERING,
        severity=gathering.severity,
        zone=group.rule.zone,
        lat_deg=float(lat_deg),
        lon_deg=float(lon_deg),
        east_m=place.east_m,
        north_m=place.north_m,
        covariance_en_m2=(var_e, cov_en, var_n),
        track_ids=tuple(person.track_id for person in group.people),
        measure={
            "people": float(gathering.people),
            "radius_m": group.radius_m,
            "lasted_s": gathering.lasted_s,
        },
        confidence=gathering.confidence,
    )


def _median_person(trail: Sequence[GroundTrack]) -> _Person:
    places = [(track.east_m, track.north_m, track.lat_deg, track.lon_deg) for track in trail]
    east_m, north_m, lat_deg, lon_deg = (float(value) for value in np.median(places, axis=0))
    return _Person(trail[-1].track_id, east_m, north_m, lat_deg, lon_deg, trail[-1].spread_en_m)
