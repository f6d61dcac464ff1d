"""A durable queue, also when the disk is full."""

import sqlite3
import threading

import pytest

from patrol.uplink.outbox import DeliveryKind, EvidenceFile, Outbox, OutboxError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "outbox.sqlite3"


def heads(outbox):
    return [(delivery.kind, delivery.alert_id, delivery.name) for delivery in outbox.pending()]


def test_reports_and_pictures_survive_closing(path, report, picture):
    with Outbox(path) as outbox:
        assert outbox.put(report(1), [picture])
    with Outbox(path) as outbox:
        alert, evidence = outbox.pending()
        assert (alert.kind, alert.name, alert.media_type) == (DeliveryKind.ALERT, "1", "application/json")
        assert b'"id":"alert-1"' in outbox.content(alert)
        assert (evidence.kind, evidence.name) == (DeliveryKind.EVIDENCE, picture.sha256)
        assert outbox.content(evidence) == picture.content


def test_durability_is_what_the_docstring_says(path):
    with Outbox(path) as outbox:
        assert outbox._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert outbox._database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_alerts_go_before_pictures_in_the_order_of_putting(path, report, picture):
    with Outbox(path) as outbox:
        outbox.put(report(1), [picture])
        outbox.put(report(1, "alert-0"))
        outbox.put(report(2))
        assert heads(outbox) == [
            ("alert", "alert-1", "1"),
            ("alert", "alert-0", "1"),
            ("alert", "alert-1", "2"),
            ("evidence", "alert-1", picture.sha256),
        ]


def test_what_was_put_twice_is_sent_once(path, report, picture):
    with Outbox(path) as outbox:
        outbox.put(report(1), [picture])
        outbox.put(report(1), [picture])
        assert outbox.depth() == 2
        for delivery in outbox.pending():
            outbox.mark_sent(delivery)
        outbox.put(report(1), [picture])
        assert outbox.depth() == 0


def test_what_was_sent_keeps_no_content_and_is_forgotten_after_a_week(path, report, picture):
    now_ns = [10**18]
    with Outbox(path, lambda: now_ns[0]) as outbox:
        outbox.put(report(1), [picture])
        for delivery in outbox.pending():
            outbox.mark_sent(delivery)
            assert outbox.content(delivery) == b""
        now_ns[0] += 8 * 86_400 * 10**9
        outbox.put(report(2))
        assert outbox._database.execute("SELECT name FROM deliveries").fetchall() == [("2",)]


def test_status_tells_depth_and_age(path, report, picture):
    now_ns = [10**18]
    with Outbox(path, lambda: now_ns[0]) as outbox:
        assert (outbox.status().waiting, outbox.status().oldest_age_s) == (0, 0.0)
        outbox.put(report(1), [picture])
        now_ns[0] += 90 * 10**9
        outbox.put(report(2))
        status = outbox.status()
        assert (status.waiting, status.oldest_age_s, status.set_aside, status.trouble) == (3, 90.0, 0, "")


def test_counts_are_by_sortie_and_by_alert(path, report):
    with Outbox(path) as outbox:
        for made in (report(1), report(2), report(1, "alert-2"), report(1, "alert-3", sortie="other")):
            outbox.put(made)
        assert outbox.counts("sortie-1") == (2, 0)
        outbox.mark_sent(outbox.pending()[0])
        assert outbox.counts("sortie-1") == (2, 0)  # the second revision is still here
        outbox.mark_sent(outbox.pending()[0])
        assert outbox.counts("sortie-1") == (2, 1)
        assert outbox.counts("nobody") == (0, 0)


def test_what_the_station_refused_stays_to_be_seen(path, report):
    with Outbox(path) as outbox:
        outbox.put(report(1))
        outbox.refuse(outbox.pending()[0], "409: known with another body")
        assert outbox.depth() == 0
    with Outbox(path) as outbox:
        (refused,) = outbox.set_aside()
        assert refused.reason == "409: known with another body"
        assert b'"id":"alert-1"' in outbox.content(refused)
        assert outbox.status().set_aside == 1


def test_a_full_disk_loses_nothing_and_says_so_once(path, report, picture, caplog):
    with Outbox(path) as outbox:
        outbox.put(report(1))
        pages = outbox._database.execute("PRAGMA page_count").fetchone()[0]
        outbox._database.execute(f"PRAGMA max_page_count={pages}")
        large = EvidenceFile(picture.sha256, "image/jpeg", picture.content)
        full = [report(revision, alert_id="x" * 4000) for revision in (2, 3, 4)]

        assert [outbox.put(made, [large]) for made in full] == [False, False, False]
        assert len(caplog.records) == 1
        assert "full" in outbox.status().trouble
        assert "memory" in outbox.status().trouble
        names = [delivery.name for delivery in outbox.pending()]
        assert names == ["1", "2", "3", "4", picture.sha256]
        assert outbox.counts("sortie-1") == (2, 0)

        outbox.mark_sent(outbox.pending()[1])  # it can be sent from memory, and is not sent again
        assert [delivery.name for delivery in outbox.pending()] == ["1", "3", "4", picture.sha256]

        outbox._database.execute("PRAGMA max_page_count=1000000")
        assert outbox.flush()
        assert outbox.status().trouble == ""
    with Outbox(path) as outbox:
        assert [delivery.name for delivery in outbox.pending()] == ["1", "3", "4", picture.sha256]


def test_a_refusal_on_a_full_disk_is_not_tried_again(path, report):
    with Outbox(path) as outbox:
        outbox.put(report(1))
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        outbox._database.execute("PRAGMA busy_timeout=0")
        outbox.refuse(outbox.pending()[0], "422")
        assert outbox.pending() == []
        assert "locked" in outbox.status().trouble
        blocker.execute("ROLLBACK")
        blocker.close()
        assert outbox.flush()
        assert [delivery.reason for delivery in outbox.set_aside()] == ["422"]


def test_bytes_that_do_not_hash_to_their_name_are_a_programming_error(path, report):
    with Outbox(path) as outbox:
        with pytest.raises(ValueError, match="another sha256"):
            outbox.put(report(1), [EvidenceFile("0" * 64, "image/jpeg", b"x")])
        assert outbox.depth() == 0


def test_news_of_this_object_and_of_another_process_wakes(path, report):
    with Outbox(path) as outbox, Outbox(path) as other:
        assert not outbox.wait_for_news(0.0)
        outbox.put(report(1))
        assert outbox.wait_for_news(0.0)
        assert not outbox.wait_for_news(0.0)
        waiter_result = []
        waiter = threading.Thread(target=lambda: waiter_result.append(outbox.wait_for_news(30.0)))
        waiter.start()
        other.put(report(2))
        waiter.join(10.0)
        assert waiter_result == [True]


def test_two_processes_may_put_into_one_file(path, report):
    with Outbox(path) as first, Outbox(path) as second:
        threads = [
            threading.Thread(target=lambda box=box, name=name: [box.put(report(i, name)) for i in range(20)])
            for box, name in ((first, "a"), (second, "b"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.depth() == second.depth() == 40


@pytest.mark.parametrize("content", [b"this is no database, it is a text of some length" * 10])
def test_a_file_that_is_no_outbox_is_a_sentence(tmp_path, content):
    path = tmp_path / "outbox.sqlite3"
    path.write_bytes(content)
    with pytest.raises(OutboxError, match="cannot be opened as an outbox: file is not a database"):
        Outbox(path)


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox(tmp_path / "file" / "outbox.sqlite3")
