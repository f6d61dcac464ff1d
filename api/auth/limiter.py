"""Guessing passwords must be slow."""

import time
from collections import OrderedDict
from collections.abc import Callable

# NIST SP 800-63B-3 section 5.2.2 allows 100 in a row; five a minute still forgives a person's typing.
_ATTEMPTS = 5
_WINDOW_S = 60.0
_REMEMBERED_PAIRS = 10_000


class LoginLimiter:
    """At most five attempts a minute for each pair of user name and address; a success clears the pair."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._attempts: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def seconds_to_wait(self, username: str, address: str) -> float:
        """Count an attempt; return 0 when it may go on, else the seconds after which to try again."""
        now = self._monotonic_s()
        pair = (username, address)
        recent = [at for at in self._attempts.pop(pair, []) if now - at < _WINDOW_S]
        wait_s = recent[0] + _WINDOW_S - now if len(recent) >= _ATTEMPTS else 0.0
        if wait_s == 0.0:
            recent.append(now)
        self._attempts[pair] = recent
        if len(self._attempts) > _REMEMBERED_PAIRS:
            self._attempts.popitem(last=False)
        return wait_s

    def succeeded(self, username: str, address: str) -> None:
        """Forget the attempts of a pair that got in."""
        self._attempts.pop((username, address), None)
