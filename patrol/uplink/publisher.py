"""Empties the outbox into the station, whatever happens to the network, the station or this process."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import tenacity

from patrol.domain.errors import UsageError
from patrol.uplink.outbox import Delivery, DeliveryKind, Outbox
from patrol.uplink.station import DeliveryRefused, Station, StationFailed, StationUnavailable, TokenRefused

_log = logging.getLogger(__name__)

_PASSING = (StationUnavailable, StationFailed, TokenRefused, UsageError)
# An alert is worth a try every few seconds; the jitter keeps a fleet from knocking all at once.
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 8.0
_TOKEN_WAIT_S = 15.0  # a person has to renew it; quick tries would only fill the station's log
_IDLE_S = 1.0
_STOP_POLL_S = 0.25

Pause = Callable[[float, threading.Event], None]
"""Waits for so many seconds, less when the event is set."""


class Publisher:
    """Sends what is in an outbox: alerts before evidence, the revisions of one alert in their order.

    What the station refuses for good is set aside with the reason. Everything else is tried until it is
    delivered; people read one sentence when an outage begins and one when it is over.
    """

    def __init__(
        self,
        outbox: Outbox,
        station: Station,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause: Pause | None = None,
    ) -> None:
        """Send from `outbox` to `station`; `pause` waits between tries (by default until there is news)."""
        self._outbox = outbox
        self._station = station
        self._monotonic_s = monotonic_s
        self._pause = pause or self._wait_for_news
        self._outage_since_s = 0.0
        self.trouble = ""
        """A sentence while nothing gets through, else empty."""

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set."""
        growing = tenacity.wait_exponential_jitter(
            multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S, jitter=_FIRST_WAIT_S
        )

        def wait_s(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return _TOKEN_WAIT_S if isinstance(error, TokenRefused | UsageError) else growing(state)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_PASSING),
            wait=wait_s,
            stop=tenacity.stop_when_event_set(stop),
            sleep=lambda seconds: self._pause(seconds, stop),
        )
        while not stop.is_set():
            with suppress(tenacity.RetryError):  # stopped in an outage
                retrying(self.step)
            self._pause(_IDLE_S, stop)

    def step(self) -> int:
        """Send all that is waiting, once; return how many deliveries the station took.

        A failure that concerns one delivery holds back only what follows for the same alert; without a
        station the step ends at once.

        Raises:
            StationUnavailable, StationFailed, TokenRefused, UsageError: something is still waiting.
        """
        self._outbox.flush()
        taken = 0
        failure: StationFailed | None = None
        held_back: set[str] = set()
        while (delivery := self._next(held_back)) is not None:
            try:
                self._send(delivery)
            except DeliveryRefused as error:
                _log.error("alert %s, %s: set aside: %s", delivery.alert_id, delivery.kind, error)
                self._outbox.refuse(delivery, str(error))
            except StationFailed as error:
                failure = failure or error
                held_back.add(delivery.alert_id)
            except _PASSING as error:
                self._report_outage(error)
                raise
            else:
                taken += 1
                self._outbox.mark_sent(delivery)
        if failure is not None:
            self._report_outage(failure)
            raise failure
        self._report_recovery()
        return taken

    def _next(self, held_back: set[str]) -> Delivery | None:
        """Look anew each time: an alert that was put meanwhile goes before the pictures that wait."""
        return next((found for found in self._outbox.pending() if found.alert_id not in held_back), None)

    def _send(self, delivery: Delivery) -> None:
        content = self._outbox.content(delivery)
        if delivery.kind is DeliveryKind.ALERT:
            self._station.post_alert(content)
        else:
            self._station.put_evidence(delivery.name, delivery.media_type, content)

    def _report_outage(self, error: Exception) -> None:
        if not self.trouble:
            self._outage_since_s = self._monotonic_s()
            _log.warning("%s; alerts are kept and sent when this is over", error)
        self.trouble = str(error)

    def _report_recovery(self) -> None:
        if self.trouble:
            lasted_s = self._monotonic_s() - self._outage_since_s
            _log.warning("the station takes alerts again after %.0f s", lasted_s)
            self.trouble = ""

    def _wait_for_news(self, seconds: float, stop: threading.Event) -> None:
        until_s = self._monotonic_s() + seconds
        while not stop.is_set() and (left_s := until_s - self._monotonic_s()) > 0:
            if self._outbox.wait_for_news(min(left_s, _STOP_POLL_S)):
                return
