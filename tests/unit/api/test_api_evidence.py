"""Pictures in and out."""

import hashlib

import pytest
from PIL import Image

ALERTS = "/api/v1/alerts"
JPEG = {"Content-Type": "image/jpeg"}


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def put(asked, content, name=None, headers=JPEG):
    return await asked.edge.put(
        f"/api/v1/evidence/{name or name_of(content)}", content=content, headers=headers
    )


async def test_a_picture_comes_after_its_alert_and_changes_it(asked, make_report, make_jpeg):
    jpeg = make_jpeg()
    name = name_of(jpeg)
    alert = (await asked.edge.post(ALERTS, json=make_report(evidence=(name,)))).json()
    assert alert["evidence"] == [
        {
            "kind": "picture",
            "url": f"/api/v1/evidence/{name}",
            "sha256": name,
            "media_type": "image/jpeg",
            "captured_at": "2026-05-01T12:00:00Z",
            "redacted": True,
            "available": False,
        }
    ]
    cursor = (await asked.officer.get(ALERTS)).json()["cursor"]
    assert (await asked.officer.get(alert["evidence"][0]["url"])).status_code == 404

    stored = await put(asked, jpeg)
    assert stored.status_code == 201
    assert stored.json() == {"sha256": name, "media_type": "image/jpeg", "size_bytes": len(jpeg)}
    (item,) = (await asked.officer.get(ALERTS, params={"after": cursor})).json()["items"]
    assert item["evidence"][0]["available"] is True
    assert item["revision"] == 2
    assert item["history"][-1]["action"] == "evidence_received"

    picture = await asked.officer.get(alert["evidence"][0]["url"])
    assert picture.status_code == 200
    assert picture.content == jpeg
    assert picture.headers["content-type"] == "image/jpeg"
    assert "private" in picture.headers["cache-control"]


async def test_the_same_picture_again_changes_nothing(asked, make_report, make_jpeg):
    jpeg = make_jpeg()
    await asked.edge.post(ALERTS, json=make_report(evidence=(name_of(jpeg),)))
    await put(asked, jpeg)
    before = (await asked.officer.get(ALERTS)).json()
    assert (await put(asked, jpeg)).status_code == 200
    assert (await asked.officer.get(ALERTS)).json() == before


async def test_a_picture_whose_file_was_lost_can_be_sent_again(asked, make_report, make_jpeg):
    jpeg = make_jpeg()
    await asked.edge.post(ALERTS, json=make_report(evidence=(name_of(jpeg),)))
    await put(asked, jpeg)
    asked.station.evidence.path(name_of(jpeg)).unlink()
    assert (await asked.officer.get(f"/api/v1/evidence/{name_of(jpeg)}")).status_code == 404
    assert (await put(asked, jpeg)).status_code == 200
    assert (await asked.officer.get(f"/api/v1/evidence/{name_of(jpeg)}")).content == jpeg


async def test_an_alert_that_names_a_known_picture_has_it_at_once(asked, make_report, make_jpeg):
    jpeg = make_jpeg()
    body = make_report(evidence=(name_of(jpeg),))
    await asked.edge.post(ALERTS, json=body)
    await put(asked, jpeg)
    newer = await asked.edge.post(ALERTS, json={**body, "revision": 2, "evidence": body["evidence"] * 2})
    assert newer.status_code == 201
    assert [item["available"] for item in newer.json()["evidence"]] == [True, True]


async def test_a_picture_that_no_alert_names_is_refused(asked, make_jpeg):
    response = await put(asked, make_jpeg())
    assert response.status_code == 409
    assert "alert first" in response.json()["detail"]


async def test_a_picture_that_is_not_redacted_is_refused(asked, make_report, make_jpeg):
    jpeg = make_jpeg()
    body = make_report(evidence=(name_of(jpeg),))
    body["evidence"][0]["redacted"] = False
    assert (await asked.edge.post(ALERTS, json=body)).status_code == 201
    response = await put(asked, jpeg)
    assert response.status_code == 422
    assert "blur" in response.json()["detail"]


async def test_content_that_is_not_what_its_name_says_is_refused(asked, make_report, make_jpeg):
    name = name_of(make_jpeg("red"))
    await asked.edge.post(ALERTS, json=make_report(evidence=(name,)))
    response = await put(asked, make_jpeg("blue"), name=name)
    assert response.status_code == 422
    assert "SHA-256" in response.json()["detail"]
    assert not asked.station.evidence.path(name).exists()


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x010F] = "Camera maker"
    return data


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exif": exif()}, "APP1"),
        ({"comment": b"seen by Zhang"}, "COM"),
        ({"icc_profile": b"x" * 200}, "APP2"),
    ],
)
async def test_a_picture_with_metadata_is_refused(asked, make_report, make_jpeg, options, words):
    jpeg = make_jpeg(**options)
    await asked.edge.post(ALERTS, json=make_report(evidence=(name_of(jpeg),)))
    response = await put(asked, jpeg)
    assert response.status_code == 422
    assert words in response.json()["detail"]
    assert not asked.station.evidence.path(name_of(jpeg)).exists()


async def test_what_cannot_be_decoded_is_refused(asked, make_report, make_jpeg):
    whole = make_jpeg(size=(320, 240), quality=95)
    huge = bytearray(make_jpeg())
    at = huge.index(b"\xff\xc0") + 5
    huge[at : at + 4] = (6000).to_bytes(2, "big") * 2
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
    for content, words in (
        (whole[: len(whole) // 2], "cannot be decoded"),
        (b"", "cannot be decoded"),
        (png, "cannot be decoded"),
        (bytes(huge), "6000 x 6000"),
    ):
        await asked.edge.post(ALERTS, json=make_report(evidence=(name_of(content),)))
        response = await put(asked, content)
        assert response.status_code == 422
        assert words in response.json()["detail"]


async def test_only_jpeg_is_taken(asked, make_report, make_jpeg):
    jpeg = make_jpeg()
    await asked.edge.post(ALERTS, json=make_report(evidence=(name_of(jpeg),)))
    response = await put(asked, jpeg, headers={"Content-Type": "image/png"})
    assert response.status_code == 415
    assert "image/jpeg" in response.json()["detail"]


@pytest.mark.parametrize("name", ["A" * 64, "a" * 63, "..%2f..%2fetc%2fpasswd", "a" * 65])
async def test_a_name_that_is_no_hash_is_refused(asked, name):
    assert (await asked.officer.get(f"/api/v1/evidence/{name}")).status_code in (404, 422)


async def test_what_a_crash_left_half_written_is_thrown_away(asked):
    left = asked.data_dir / "evidence" / "incoming" / "half"
    left.write_bytes(b"half a picture")
    asked.station.evidence.prepare()
    assert not left.exists()


async def test_a_full_disk_keeps_nothing_and_says_so(asked, make_report, make_jpeg, monkeypatch):
    jpeg = make_jpeg()
    await asked.edge.post(ALERTS, json=make_report(evidence=(name_of(jpeg),)))

    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("api.evidence.store.os.fsync", no_space)
        response = await put(asked, jpeg)
    assert response.status_code == 507
    assert list((asked.data_dir / "evidence" / "incoming").iterdir()) == []
    assert (await put(asked, jpeg)).status_code == 201
