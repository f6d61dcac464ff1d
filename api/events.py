"""Wakes those who wait for news inside this process. A wake-up is only a hint: whoever wakes reads again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Topic(StrEnum):
    """What there may be news of."""

    ALERTS = "alerts"
    LIVE = "live"
    PICTURES = "pictures"


class Subscription:
    """The hints that one waiter has not looked at yet: at most one of each topic, so it never grows."""

    def __init__(self, topics: frozenset[Topic]) -> None:
        self._topics = topics
        self._pending: set[Topic] = set()
        self._wake = asyncio.Event()
        self.closed = False

    async def wait(self, timeout_s: float) -> frozenset[Topic]:
        """Wait for a hint; return the topics hinted at since the last call.

        Empty after `timeout_s`, and at once when the station goes down.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return frozenset()
        if not self.closed:
            self._wake.clear()
        hints = frozenset(self._pending)
        self._pending.clear()
        return hints

    def hint(self, topic: Topic) -> None:
        """Note that there may be news of `topic`."""
        if topic in self._topics:
            self._pending.add(topic)
            self._wake.set()

    def close(self) -> None:
        """Wake the waiter for good."""
        self.closed = True
        self._wake.set()


class Fanout:
    """Hands hints to all who wait. Publishing never blocks, however slow a waiter is."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self, *topics: Topic) -> Iterator[Subscription]:
        """Receive hints while the context is open. Subscribe first, read then: so nothing falls between."""
        subscription = Subscription(frozenset(topics))
        if self._closed:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, topic: Topic) -> None:
        """Wake everybody who waits for `topic`."""
        for subscription in self._subscriptions:
            subscription.hint(topic)

    def close(self) -> None:
        """End every wait, now and later: the station is going down."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
