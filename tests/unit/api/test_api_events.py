"""Waking those who wait."""

import asyncio

from api.events import Fanout, Topic


async def test_hints_pile_up_to_one_of_each_topic():
    fanout = Fanout()
    with fanout.subscribe(Topic.ALERTS, Topic.LIVE) as subscription:
        for _ in range(1000):
            fanout.publish(Topic.LIVE)
            fanout.publish(Topic.ALERTS)
        assert await subscription.wait(1) == {Topic.ALERTS, Topic.LIVE}
        assert await subscription.wait(0) == frozenset()


async def test_only_topics_asked_for_wake():
    fanout = Fanout()
    with fanout.subscribe(Topic.ALERTS) as subscription:
        fanout.publish(Topic.PICTURES)
        assert await subscription.wait(0) == frozenset()


async def test_a_hint_between_subscribing_and_waiting_is_not_lost():
    fanout = Fanout()
    with fanout.subscribe(Topic.ALERTS) as subscription:
        fanout.publish(Topic.ALERTS)
        assert await subscription.wait(0) == {Topic.ALERTS}


async def test_closing_ends_every_wait_now_and_later():
    fanout = Fanout()
    with fanout.subscribe(Topic.ALERTS) as early:
        waiting = asyncio.create_task(early.wait(60))
        await asyncio.sleep(0)
        fanout.close()
        async with asyncio.timeout(5):
            assert await waiting == frozenset()
        assert early.closed
    with fanout.subscribe(Topic.ALERTS) as late:
        async with asyncio.timeout(5):
            assert await late.wait(60) == frozenset()
        assert late.closed


async def test_nobody_is_kept_after_leaving():
    fanout = Fanout()
    with fanout.subscribe(Topic.ALERTS):
        assert fanout.waiting == 1
    assert fanout.waiting == 0
