"""When a picture was taken by the aircraft's clock, and whether that is to be believed.

Times that a stream carries are taken at their word, times of arrival have a delay that nobody tells. Both are
held against the picture's own motion (`patrol.geo.delay`): it tells the delay of the one, whether the other
is true, and whether picture and telemetry belong together at all.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from patrol.domain.telemetry import ClockSample
from patrol.geo.camera import CameraModel
from patrol.geo.delay import DelayEstimate, DelayEstimator, ScenePair
from patrol.geo.ground import Ground
from patrol.geo.history import PoseHistory
from patrol.video.clock import ARRIVAL_SIGMA_NS, Timing
from patrol.video.frames import Frame
from patrol.video.motion import MotionMeter

_LOG = logging.getLogger(__name__)

_SECOND_NS = 1_000_000_000

# Digital video links of drones are late by 0.1 to 0.6 s as their makers state it; cameras, encoders and
# decoders add to that. Two sigma reach from nothing to 0.85 s.
_USUAL_DELAY_S, _USUAL_DELAY_SIGMA_S = 0.35, 0.25
# A link that changed in flight has shown that it may be of any kind: two sigma reach past the second and a
# half that a player's or a relay's buffer holds.
_CHANGED_DELAY_SIGMA_S = 0.6
# Of times that a stream carries and no turn has confirmed yet: clocks set by NTP over a radio link are this
# good, and some encoders stamp what they send in place of what they took. Our choice.
_UNCONFIRMED_SIGMA_S = 0.1
# Between this machine's clock and the aircraft's before they were compared: both set by GPS or NTP, the
# aircraft's known through a radio link.
_UNKNOWN_CLOCK_SIGMA_S = 0.2
# Carried times that are off by less stay as they are, with a sigma that covers it; once they are corrected
# they stay so down to the second figure.
_TOLERATED_S = 0.15
_CORRECTED_DOWN_TO_S = 0.08
# A correction never turns the order of pictures round; one that would comes so much after the one before.
_LEAST_STEP_NS = 1_000_000
# What NTP may slew a clock by (RFC 5905, MAXFREQ) since it was compared.
_SLEW_S_PER_S = 0.0005
_CERTAIN_SIGMAS, _USUAL_SIGMAS = 4.0, 2.0  # between which a delay is believed: once it was told, and before
# How fast a delay that was told once becomes uncertain again; our choice: nobody has measured it. After eight
# minutes without a turn it is as uncertain as one that was never told.
_DRIFT_S_PER_S = 0.0005

_MEASURE_EVERY_NS = 80_000_000  # more pictures tell no more of turns, which last a second
_JUDGE_EVERY_NS = _SECOND_NS

_NOT_THIS_PICTURE = (
    "the picture does not move as the telemetry says, so nobody's place is known; check that the gimbal "
    "tells its angles live and that this stream is this aircraft's camera"
)
_OTHER_DELAY = (
    "the picture moves at another time than the telemetry says, so nobody's place is known until the delay "
    "is measured anew, which takes a turn or two"
)


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A picture with its time on the aircraft's clock.

    Attributes:
        frame: the picture; its time and sigma are corrected.
        is_trusted: False when its time or its telemetry is wrong, so that no pose may be looked up.
        reason: a sentence for people when there is something to say.
        is_degraded: they should do something about it.
    """

    frame: Frame
    is_trusted: bool
    reason: str
    is_degraded: bool


@dataclass(frozen=True)
class _Compared:
    """A comparison of clocks, and by how much this machine's UTC led its steady clock when it came."""

    sample: ClockSample
    utc_less_monotonic_ns: int


class CaptureTimes:
    """Times the pictures of one camera, and watches over their times."""

    def __init__(
        self,
        camera: CameraModel,
        ground: Ground,
        *,
        utc_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Begin with what is usual. `utc_ns` and `monotonic_ns` are this machine's clocks."""
        self._clocks = (utc_ns, monotonic_ns)
        self._stamp_delay_s = camera.installation.delay_s
        self._heard: _Compared | None = None
        self._clock: _Compared | None = None
        self._basis: tuple[Timing, bool, int] | None = None
        self._has_changed = False
        self._is_corrected = False
        self._last: tuple[int, int] | None = None  # claimed and told time of the picture before
        self._meter = MotionMeter()
        self._measured_ns: int | None = None
        self._judged_ns = 0
        self._estimator = DelayEstimator(camera, ground)
        self._told: DelayEstimate | None = None  # None: the delay is as it is thought to be beforehand
        self._doubt = ""

    def hear(self, sample: ClockSample) -> None:
        """Take note of how this machine's clock and the aircraft's differ. Another thread may call it."""
        self._heard = _Compared(sample, self._utc_less_monotonic_ns())

    def _utc_less_monotonic_ns(self) -> int:
        utc_ns, monotonic_ns = self._clocks
        return utc_ns() - monotonic_ns()

    def place(self, frame: Frame, history: PoseHistory) -> TimedFrame:
        """Time a picture. Give every picture that is analysed, in order."""
        is_arrival = frame.timing is Timing.ARRIVAL
        self._clock = self._heard if is_arrival else None
        # Until the two clocks are compared, their difference is a part of the delay.
        basis = (frame.timing, self._clock is not None, frame.epoch)
        if basis != self._basis:
            self._has_changed = self._basis is not None and frame.epoch != self._basis[2]
            self._basis = basis
            self._begin_anew()
        claimed_ns = self._claimed_ns(frame)
        self._watch(frame, claimed_ns, history)
        delay_s, sigma_s = self._delay_at(claimed_ns)
        wanted_ns = claimed_ns - round(delay_s * _SECOND_NS)
        at_ns = self._in_order(claimed_ns, wanted_ns)
        timed = replace(
            frame,
            captured_at_ns=at_ns,
            captured_at_sigma_ns=round(
                math.hypot(sigma_s * _SECOND_NS, _own_sigma_ns(frame), at_ns - wanted_ns)
            ),
        )
        return TimedFrame(timed, not self._doubt, *self._reason(delay_s, sigma_s))

    def _in_order(self, claimed_ns: int, wanted_ns: int) -> int:
        """The time wanted, but after that of the picture before if the stream says it is."""
        last, self._last = self._last, (claimed_ns, wanted_ns)
        if last is None or claimed_ns <= last[0] or wanted_ns > last[1]:
            return wanted_ns
        self._last = (claimed_ns, last[1] + _LEAST_STEP_NS)
        return last[1] + _LEAST_STEP_NS

    def _claimed_ns(self, frame: Frame) -> int:
        """The time of a picture on the aircraft's clock, as far as it was told."""
        if frame.timing is not Timing.ARRIVAL:
            return frame.captured_at_ns - round(self._stamp_delay_s * _SECOND_NS)
        if self._clock is None:
            return frame.captured_at_ns
        # A step of this machine's UTC since then is a step of how far it is ahead.
        stepped_ns = self._utc_less_monotonic_ns() - self._clock.utc_less_monotonic_ns
        return frame.captured_at_ns - self._clock.sample.edge_ahead_ns - stepped_ns

    def _delay_at(self, claimed_ns: int) -> tuple[float, float]:
        """The delay in use and its sigma, in seconds."""
        if self._told is None:
            return self._usual_at(claimed_ns)
        if not self._is_corrected:
            return 0.0, math.hypot(self._told.delay_s, self._told.sigma_s)
        age_s = max(0, claimed_ns - self._told.at_ns) / _SECOND_NS
        sigma_s = math.hypot(self._told.sigma_s, _DRIFT_S_PER_S * age_s)
        return self._told.delay_s, min(sigma_s, math.hypot(_USUAL_DELAY_SIGMA_S, _UNKNOWN_CLOCK_SIGMA_S))

    def _usual_at(self, claimed_ns: int) -> tuple[float, float]:
        """The delay before any turn has told it, and its sigma, in seconds."""
        if self._basis is not None and self._basis[0] is Timing.FILE:
            return 0.0, 0.0
        if not self._is_arrival:
            return 0.0, _UNCONFIRMED_SIGMA_S
        clock_sigma_s = _UNKNOWN_CLOCK_SIGMA_S
        if self._clock is not None:
            age_s = max(0, claimed_ns - self._clock.sample.at_ns) / _SECOND_NS
            clock_sigma_s = math.hypot(self._clock.sample.sigma_ns / _SECOND_NS, _SLEW_S_PER_S * age_s)
        sigma_s = _CHANGED_DELAY_SIGMA_S if self._has_changed else _USUAL_DELAY_SIGMA_S
        return _USUAL_DELAY_S, math.hypot(sigma_s, clock_sigma_s)

    def _watch(self, frame: Frame, claimed_ns: int, history: PoseHistory) -> None:
        before_ns = self._measured_ns
        if before_ns is not None and 0 <= claimed_ns - before_ns < _MEASURE_EVERY_NS:
            return
        self._measured_ns = claimed_ns
        motion = self._meter.update(frame.pixels)
        if motion is not None and before_ns is not None:
            height_px, width_px = frame.pixels.shape[:2]
            self._estimator.add(
                ScenePair(before_ns, claimed_ns, motion.before_px, motion.after_px, (width_px, height_px))
            )
        if not 0 <= claimed_ns - self._judged_ns < _JUDGE_EVERY_NS:
            self._judged_ns = claimed_ns
            self._estimator.compare(history)
            self._judge(claimed_ns)

    def _judge(self, now_ns: int) -> None:
        agreement = self._estimator.agreement()
        before = self._doubt
        if agreement.is_contradicted(*self._believed_s(now_ns)):
            self._doubt = _NOT_THIS_PICTURE
            if not agreement.is_contradicted():
                self._doubt = _OTHER_DELAY
                self._told = None
                self._estimator.forget_all_but_recent()
        told = self._estimator.estimate()
        if told is not None:
            self._told = told
        self._is_corrected = self._needs_correction()
        if self._doubt and agreement.is_confirmed(*self._believed_s(now_ns)):
            self._doubt = ""
        if self._doubt and self._doubt != before:
            _LOG.warning("%s", self._doubt)

    def _believed_s(self, now_ns: int) -> tuple[float, float]:
        """Between which delays the true one is thought to lie."""
        delay_s, sigma_s = self._delay_at(now_ns)
        reach_s = max(_TOLERATED_S, (_CERTAIN_SIGMAS if self._told else _USUAL_SIGMAS) * sigma_s)
        return delay_s - reach_s, delay_s + reach_s

    def _needs_correction(self) -> bool:
        told = self._told
        if told is None or self._is_arrival:
            return told is not None
        least_s = _CORRECTED_DOWN_TO_S if self._is_corrected else _TOLERATED_S
        return abs(told.delay_s) > max(least_s, _CERTAIN_SIGMAS * told.sigma_s)

    @property
    def _is_arrival(self) -> bool:
        return self._basis is not None and self._basis[0] is Timing.ARRIVAL

    def _begin_anew(self) -> None:
        self._estimator.forget()
        self._meter = MotionMeter()
        self._measured_ns = None
        self._told = None
        self._is_corrected = False
        self._doubt = ""

    def _reason(self, delay_s: float, sigma_s: float) -> tuple[str, bool]:
        if self._doubt:
            return self._doubt, True
        if self._is_arrival:
            how = "as their motion tells" if self._told else "as is usual; turns will tell"
            return f"pictures come {delay_s:.2f} s late (one sigma {sigma_s:.2f} s), {how}", False
        if not self._is_corrected:
            return "", False
        side = "late" if delay_s > 0 else "early"
        sentence = (
            f"the times in the pictures are {abs(delay_s):.2f} s {side} against their motion and are "
            "corrected; check the camera's clock"
        )
        return sentence, True


def _own_sigma_ns(frame: Frame) -> float:
    """What a picture's time is uncertain by of its own; of times of arrival this is the jitter."""
    if frame.timing is not Timing.ARRIVAL:
        return frame.captured_at_sigma_ns
    return math.sqrt(max(0, frame.captured_at_sigma_ns**2 - ARRIVAL_SIGMA_NS**2))
