"""The station over HTTP and its twin in memory give the same answers."""

import json
import re

import httpx
import pytest
from pydantic import TypeAdapter

from patrol.domain.alerts import AlertReport
from patrol.domain.errors import UsageError
from patrol.domain.live import LiveReport
from patrol.uplink.memory import MemoryStation
from patrol.uplink.station import (
    DeliveryRefused,
    StationClient,
    StationFailed,
    StationUnavailable,
    TokenRefused,
    token_source,
)

URL = "http://station.example:8400"
LIVE = LiveReport("drone 1/a", None, None)


def body(report: AlertReport) -> bytes:
    return TypeAdapter(AlertReport).dump_json(report)


def answering(status: int, content: object = None) -> StationClient:
    """A client whose station always gives one answer."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json=content))
    return StationClient(URL, lambda: "secret", transport)


def serving(twin: MemoryStation) -> httpx.MockTransport:
    """The HTTP face of a station that behaves as its twin."""

    def handle(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        media_type = request.headers["Content-Type"]
        try:
            if (request.method, path) == ("POST", "/alerts"):
                twin.post_alert(request.content)
            elif request.method == "PUT" and (match := re.fullmatch("/evidence/([0-9a-f]{64})", path)):
                twin.put_evidence(match[1], media_type, request.content)
            elif (request.method, path) == ("POST", "/live"):
                twin.post_live(TypeAdapter(LiveReport).validate_json(request.content))
            elif request.method == "PUT" and (match := re.fullmatch("/live/(.*)/picture", path)):
                twin.put_picture(match[1], request.content)
            else:
                return httpx.Response(404, json={"detail": "no such route"})
        except DeliveryRefused as error:
            return httpx.Response(int(str(error)[:3]), json={"detail": str(error)})
        return httpx.Response(204)

    return httpx.MockTransport(handle)


@pytest.fixture(params=["memory", "http"])
def pair(request):
    """A station as the edge sees it, and the twin that shows what has arrived."""
    twin = MemoryStation()
    if request.param == "memory":
        yield twin, twin
    else:
        with StationClient(URL, lambda: "secret", serving(twin)) as client:
            yield client, twin


def test_what_is_handed_in_arrives(pair, report, picture):
    station, twin = pair
    station.post_alert(body(report(1)))
    station.put_evidence(picture.sha256, "image/jpeg", picture.content)
    station.post_live(LIVE)
    station.put_picture("drone-1", b"jpeg")
    assert twin.alerts == {("alert-1", 1): report(1)}
    assert twin.evidence == {picture.sha256: picture.content}
    assert (twin.live, twin.pictures) == ({LIVE.drone: LIVE}, {"drone-1": b"jpeg"})


def test_handing_in_twice_is_fine_and_contradicting_is_not(pair, report):
    station, twin = pair
    station.post_alert(body(report(1)))
    station.post_alert(body(report(1)))
    with pytest.raises(DeliveryRefused, match="409"):
        station.post_alert(body(report(1, people=9)))
    assert len(twin.alerts) == 1


def test_rubbish_is_refused_for_good(pair, picture):
    station, _ = pair
    with pytest.raises(DeliveryRefused, match="422"):
        station.post_alert(b"{}")
    with pytest.raises(DeliveryRefused, match="409"):
        station.put_evidence(picture.sha256, "image/jpeg", picture.content)  # no alert refers to it


def test_bytes_of_another_picture_are_refused(pair, report, picture):
    station, _ = pair
    station.post_alert(body(report(1)))
    with pytest.raises(DeliveryRefused, match="422"):
        station.put_evidence(picture.sha256, "image/jpeg", b"another")


def test_requests_carry_token_type_and_a_safe_path(report):
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    tokens = iter(["old", "renewed"])
    with StationClient(URL + "/", lambda: next(tokens), httpx.MockTransport(handle)) as client:
        client.post_alert(body(report(1)))
        client.put_picture("drone 1/a", b"jpeg")
    assert [request.headers["Authorization"] for request in seen] == ["Bearer old", "Bearer renewed"]
    assert [request.headers["Content-Type"] for request in seen] == ["application/json", "image/jpeg"]
    assert seen[0].url == f"{URL}/api/v1/alerts"
    assert seen[1].url.raw_path == b"/api/v1/live/drone%201%2Fa/picture"
    assert json.loads(seen[0].content)["id"] == "alert-1"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, TokenRefused),
        (403, TokenRefused),
        (400, DeliveryRefused),
        (409, DeliveryRefused),
        (413, DeliveryRefused),
        (422, DeliveryRefused),
        (307, StationFailed),
        (404, StationFailed),
        (429, StationFailed),
        (500, StationFailed),
        (503, StationFailed),
    ],
)
def test_every_answer_has_its_meaning_and_its_sentence(status, error, report):
    with answering(status, {"detail": "the reason"}) as client, pytest.raises(error) as raised:
        client.post_alert(body(report(1)))
    assert str(raised.value).startswith(URL)
    assert str(status) in str(raised.value)
    assert "the reason" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("content", ["plain", None, ["detail"], {"other": 1}])
def test_an_answer_that_is_no_problem_document_is_still_a_sentence(content):
    with (
        answering(500, content) as client,
        pytest.raises(StationFailed, match="could not do POST /live: 500"),
    ):
        client.post_live(LIVE)


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_station_that_does_not_answer_is_unavailable(failure):
    def handle(_: httpx.Request) -> httpx.Response:
        raise failure

    with (
        StationClient(URL, lambda: "secret", httpx.MockTransport(handle)) as client,
        pytest.raises(StationUnavailable, match=f"{URL}: the station cannot be reached: {failure}"),
    ):
        client.post_live(LIVE)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UsageError, match="begins with http"):
        StationClient("station:8400", lambda: "secret")


def test_token_comes_from_a_file_that_only_its_owner_reads(tmp_path):
    path = tmp_path / "edge.token"
    path.write_text("first\n")
    path.chmod(0o600)
    read = token_source(path)
    assert read() == "first"
    path.write_text("renewed\n")
    assert read() == "renewed"
    path.chmod(0o640)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        read()


def test_token_comes_from_the_environment_else():
    assert token_source(None, {"NIGHT_PATROL_STATION_TOKEN": " abc "})() == "abc"


@pytest.mark.parametrize("content", [None, "", "\n", "größe"])
def test_a_missing_token_is_a_sentence(tmp_path, content):
    path = tmp_path / "edge.token"
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
    with pytest.raises(UsageError, match="token"):
        token_source(path)
    with pytest.raises(UsageError, match="NIGHT_PATROL_STATION_TOKEN"):
        token_source(None, {})
