"""`patrol watch`, as a person uses it."""

import itertools
import json
import subprocess
import sys

import av
import numpy as np
import pytest

from patrol.domain.resources import data_path
from patrol.video.source import VideoSource
from patrol.video.writer import VideoFile

FOOTAGE = data_path("flightplans") / "footage" / "pets2009-s2l1-view1.mp4"
POSE = FOOTAGE.with_suffix(".pose.yaml")


def patrol(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "patrol.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    """The first ten seconds of the footage, in which the gathering forms."""
    path = tmp_path_factory.mktemp("footage") / "beginning.mp4"
    with VideoSource(FOOTAGE) as source, VideoFile(path, 10, (480, 360)) as writer:
        for frame in itertools.islice(source, 100):
            writer.write(frame.pixels)
    return path


def test_it_prints_the_incident_and_draws_boxes_on_people(beginning, tmp_path):
    drawn = tmp_path / "seen.mp4"
    done = patrol("watch", beginning, "--pose", POSE, "--draw", drawn)
    assert done.returncode == 0, done.stderr
    alerts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({alert["id"] for alert in alerts}) == 1
    assert alerts[0]["kind"] == "gathering"
    assert alerts[0]["place"]["zone"] == "yard"
    assert "incidents: 1" in done.stderr

    with av.open(str(drawn)) as container:
        pictures = [picture.to_ndarray(format="bgr24").astype(int) for picture in container.decode(video=0)]
    assert len(pictures) == 100
    late = pictures[95]
    blue, green, red = late[..., 0], late[..., 1], late[..., 2]
    in_incident = (red > 200) & (green < 110) & (blue < 110)
    people = (blue > 200) & (green > 150) & (red < 120)
    assert np.count_nonzero(in_incident) > 300
    assert np.count_nonzero(people) > 100


def test_incidents_go_to_a_file_when_asked(beginning, tmp_path):
    out = tmp_path / "incidents.jsonl"
    done = patrol("watch", beginning, "--pose", POSE, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert json.loads(out.read_text().splitlines()[0])["revision"] == 1


@pytest.mark.parametrize(
    ("video", "pose", "says"),
    [
        ("nowhere.mp4", POSE, "nowhere.mp4"),
        (POSE, POSE, "pose.yaml"),
        (FOOTAGE, "nowhere.yaml", "nowhere.yaml: no such file"),
        (FOOTAGE, FOOTAGE, "is not text in UTF-8"),
    ],
)
def test_rubbish_gets_a_sentence_and_no_traceback(video, pose, says):
    done = patrol("watch", video, "--pose", pose)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("patrol: ")


def test_a_pose_file_with_a_wrong_key_is_told_so(tmp_path):
    wrong = tmp_path / "wrong.pose.yaml"
    wrong.write_text(POSE.read_text().replace("pitch_deg: -16.4822", "pitch_deg: -164"))
    done = patrol("watch", FOOTAGE, "--pose", wrong)
    assert done.returncode == 2
    assert "poses[0].pitch_deg" in done.stderr
