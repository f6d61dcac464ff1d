"""When people are a gathering, and when they are not. All times are capture times."""

from collections.abc import Callable

import numpy as np
import pytest

from patrol.anomaly.gathering import GatheringDetector, GatheringParameters, GatheringRule
from patrol.domain.incidents import Observation, Severity
from patrol.domain.positions import GroundTrack

START_NS = 1_750_000_000_000_000_000
RULE = GatheringRule("yard", min_people=3, radius_m=2.0, hold_s=5.0)
LAT_PER_M = 1 / 111_000
Crowd = Callable[[float], dict[int, tuple[float, float]]]

# East and north by source, in the order of `SOURCES`: GPS, which lasts, and the foot in the single picture.
SPREAD = ((0.6, 0, 0, 0, 0, 0, 0, 0, 0.3, 0), (0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.4))

TRIO = {1: (0.0, 0.0), 2: (1.0, 0.0), 3: (0.0, 1.0)}


def seen(
    time_s: float, track_id: int, east_m: float, north_m: float, *, observed: bool = True
) -> GroundTrack:
    return GroundTrack(
        track_id=track_id,
        at_ns=START_NS + round(time_s * 1e9),
        lat_deg=31.3 + north_m * LAT_PER_M,
        lon_deg=120.6 + east_m * LAT_PER_M,
        east_m=east_m,
        north_m=north_m,
        spread_en_m=SPREAD,
        observed=observed,
    )


def watch(
    crowd: Crowd, until_s: float, *, detector: GatheringDetector | None = None, period_s: float = 0.1
) -> dict[float, list[Observation]]:
    """What the detector says at each second's tenth."""
    detector = detector or GatheringDetector(lambda *_: RULE)
    said = {}
    for step in range(round(until_s / period_s) + 1):
        time_s = round(step * period_s, 3)
        tracks = [seen(time_s, track_id, *place) for track_id, place in crowd(time_s).items()]
        said[time_s] = detector.update(START_NS + round(time_s * 1e9), tracks)
    return said


def first_s(said: dict[float, list[Observation]]) -> float | None:
    return next((time_s for time_s, observations in said.items() if observations), None)


def test_three_who_stay_are_a_gathering_once_the_hold_is_over():
    said = watch(lambda _: TRIO, 6.0)
    assert first_s(said) == 5.0
    (found,) = said[6.0]
    assert (found.east_m, found.north_m) == pytest.approx((1 / 3, 1 / 3))
    assert (found.lat_deg, found.lon_deg) == pytest.approx((31.3 + LAT_PER_M / 3, 120.6 + LAT_PER_M / 3))
    assert found.track_ids == (1, 2, 3)
    assert found.measure == pytest.approx({"people": 3, "radius_m": 0.5**0.5, "lasted_s": 6.0}, rel=1e-3)
    assert (found.severity, found.zone, found.confidence) == (Severity.WATCH, "yard", 1.0)


def test_views_of_a_gathering_are_fused_and_what_they_share_stays():
    rng = np.random.default_rng(3)
    gps_m, feet_m = np.array([0.6, -0.5]), (0.3, 0.4)

    def seen_with_errors(_: float) -> dict[int, tuple[float, float]]:
        error_m = gps_m + rng.normal(0.0, feet_m)
        return {track_id: tuple(np.add(place, error_m)) for track_id, place in TRIO.items()}

    detector = GatheringDetector(lambda *_: RULE, GatheringParameters(smooth_s=0.0))
    (found,) = watch(seen_with_errors, 15.0, detector=detector)[15.0]
    var_e, cov_en, var_n = found.covariance_en_m2
    # Ten views: the errors of the feet are nearly gone, that of GPS is not and must not be claimed to be.
    assert 0.6**2 * 0.8 < var_e < 0.6**2 + 0.3**2 / 4
    assert 0.5**2 * 0.8 < var_n < 0.5**2 + 0.4**2 / 4
    assert cov_en == pytest.approx(0.0, abs=1e-6)
    assert (found.east_m, found.north_m) == pytest.approx(gps_m + 1 / 3, abs=0.4)
    assert found.lat_deg == pytest.approx(31.3 + found.north_m * LAT_PER_M, abs=0.01 * LAT_PER_M)


@pytest.mark.parametrize("crowd", [{1: (0.0, 0.0), 2: (1.0, 0.0)}, {**TRIO, 3: (0.0, 4.2)}, {}])
def test_too_few_or_too_far_apart_are_none(crowd):
    assert first_s(watch(lambda _: crowd, 20.0)) is None


def test_the_hold_counts_capture_times_not_pictures():
    assert first_s(watch(lambda _: TRIO, 10.0, period_s=0.5)) == 5.0


@pytest.mark.parametrize(("gap_s", "expected_s"), [(1.4, 5.0), (1.8, 9.8)])
def test_a_short_gap_does_not_reset_and_a_long_one_does(gap_s, expected_s):
    def crowd(time_s: float) -> dict[int, tuple[float, float]]:
        return {} if 3.0 < time_s < 3.0 + gap_s else TRIO

    assert first_s(watch(crowd, 12.0)) == pytest.approx(expected_s)


@pytest.mark.parametrize(("gap_s", "expected_s"), [(1.4, 5.0), (1.8, 9.8)])
def test_one_person_less_is_a_gap_too(gap_s, expected_s):
    def crowd(time_s: float) -> dict[int, tuple[float, float]]:
        return {1: TRIO[1], 2: TRIO[2]} if 3.0 < time_s < 3.0 + gap_s else TRIO

    said = watch(crowd, 12.0)
    assert first_s(said) == pytest.approx(expected_s)
    if gap_s < 1.5:
        assert said[5.0][0].confidence == pytest.approx(38 / 51)  # 13 of 51 pictures showed two people


def test_a_person_carried_by_the_tracker_counts_for_a_while():
    detector = GatheringDetector(lambda *_: RULE)
    for step in range(80):
        time_s = step / 10
        lost = time_s > 4.0
        tracks = [
            seen(time_s, 1, 0, 0),
            seen(time_s, 2, 1, 0),
            seen(time_s, 3, 0, 9 * lost, observed=not lost),
        ]
        found = detector.update(START_NS + round(time_s * 1e9), tracks)
        assert bool(found) == (5.0 <= time_s <= 5.5)  # seen last at 4.0, carried to where nobody saw him


def test_people_who_walk_together_are_no_gathering():
    said = watch(lambda t: {i: (east + 1.3 * t, north) for i, (east, north) in TRIO.items()}, 30.0)
    assert first_s(said) is None


def test_people_who_mill_about_are_one_gathering():
    said = watch(lambda t: {i: (east + 0.4 * t, north) for i, (east, north) in TRIO.items()}, 10.0)
    assert first_s(said) == 5.0
    assert said[10.0][0].measure["lasted_s"] == pytest.approx(10.0)


def test_broken_tracks_do_not_reset():
    said = watch(lambda t: {i + 10 * int(t / 2): place for i, place in TRIO.items()}, 6.0)
    assert first_s(said) == 5.0


def test_jitter_of_the_boxes_is_smoothed_away():
    rng = np.random.default_rng(2)
    rim = {i: (1.75 * np.cos(i), 1.75 * np.sin(i)) for i in (0, 2, 4)}

    def crowd(_: float) -> dict[int, tuple[float, float]]:
        return {i: tuple(np.array(place) + rng.normal(0, 0.3, 2)) for i, place in rim.items()}

    def share_of_pictures(parameters: GatheringParameters) -> float:
        said = watch(crowd, 20.0, detector=GatheringDetector(lambda *_: RULE, parameters))
        return [found.confidence for observations in said.values() for found in observations][-1]

    assert share_of_pictures(GatheringParameters()) > 0.97
    assert share_of_pictures(GatheringParameters(smooth_s=0.0)) < 0.9


def test_two_gatherings_stay_two():
    other = {i + 10: (east + 6.0, north) for i, (east, north) in TRIO.items()}
    said = watch(lambda _: {**TRIO, **other}, 6.0)
    assert sorted(found.track_ids for found in said[6.0]) == [(1, 2, 3), (11, 12, 13)]


def test_it_grows_grave_by_lasting():
    said = watch(lambda _: TRIO, 16.0)
    assert {found.severity for time_s in said if time_s < 15.0 for found in said[time_s]} == {Severity.WATCH}
    assert said[15.0][0].severity is Severity.WARNING


def test_it_grows_grave_by_size_but_not_for_one_picture():
    many = {i: (i / 10, 0.0) for i in range(6)}

    def crowd(time_s: float) -> dict[int, tuple[float, float]]:
        return many if time_s == 6.0 or time_s >= 8.0 else TRIO

    said = watch(crowd, 10.0)
    assert said[6.0][0].severity is Severity.WATCH
    assert said[10.0][0].severity is Severity.WARNING
    assert said[10.0][0].measure["people"] == 6


def test_each_place_has_its_own_rule():
    strict = GatheringRule("closed", min_people=3, radius_m=2.0, hold_s=1.0)

    def rule_at(_lat_deg: float, lon_deg: float, _at_ns: int) -> GatheringRule:
        return strict if lon_deg > 120.6 + 50 * LAT_PER_M else RULE

    far = {i + 10: (east + 100.0, north) for i, (east, north) in TRIO.items()}
    said = watch(lambda _: {**TRIO, **far}, 6.0, detector=GatheringDetector(rule_at))
    assert [found.zone for found in said[1.0]] == ["closed"]
    assert sorted(found.zone for found in said[6.0]) == ["closed", "yard"]


def test_people_on_both_sides_of_a_border_are_judged_where_their_middle_is():
    narrow = GatheringRule("lane", min_people=3, radius_m=0.1, hold_s=1.0)

    def rule_at(_lat_deg: float, lon_deg: float, _at_ns: int) -> GatheringRule:
        return narrow if lon_deg > 120.6 + 0.5 * LAT_PER_M else RULE

    said = watch(lambda _: TRIO, 6.0, detector=GatheringDetector(rule_at))
    assert [found.zone for found in said[6.0]] == ["yard"]


def test_a_clock_that_is_set_back_starts_everything_anew():
    detector = GatheringDetector(lambda *_: RULE)
    assert first_s(watch(lambda _: TRIO, 6.0, detector=detector)) == 5.0
    assert first_s(watch(lambda _: TRIO, 6.0, detector=detector)) == 5.0


def test_the_map_is_asked_about_each_person_once_a_second():
    asked = []

    def rule_at(*place: object) -> GatheringRule:
        asked.append(place)
        return RULE

    far_apart = {i: (10.0 * i, 0.0) for i in range(4)}
    watch(lambda _: far_apart, 4.9, detector=GatheringDetector(rule_at))
    assert len(asked) == 4 * 5
