"""One frame's way, on the footage that ships."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from patrol.commands.watch import read_poses
from patrol.domain.errors import UsageError
from patrol.domain.incidents import Kind
from patrol.domain.resources import data_path
from patrol.edge.pipeline import Pipeline
from patrol.edge.settings import EyesSettings
from patrol.geo.camera import read_camera
from patrol.plan.market import read_market
from patrol.video.source import VideoSource
from patrol.vision.registry import load_manifest

START_NS = 1_763_726_400_000_000_000
# The gathering is complete from about frame 28 and must hold for 5 s at 10 frames a second.
FRAMES = 100


@pytest.fixture(scope="module")
def footage() -> Path:
    return data_path("flightplans") / "footage" / "pets2009-s2l1-view1.mp4"


@pytest.fixture(scope="module")
def poses(footage):
    return read_poses(footage.with_suffix(".pose.yaml"))


@pytest.fixture
def pipeline(poses):
    return Pipeline(
        read_camera(poses.camera_model),
        read_market(poses.market),
        load_manifest("night-patrol-nano"),
        EyesSettings(threads=1),
        poses.sensors,
    )


@pytest.fixture
def frames(footage):
    with VideoSource(footage, starts_at_ns=START_NS) as source:
        yield source


def test_people_are_on_the_ground_and_their_gathering_is_one_incident(pipeline, poses, frames):
    history = poses.history(START_NS)
    results = [
        pipeline.process(frame, history.pose_at(frame.captured_at_ns))
        for frame in itertools.islice(frames, FRAMES)
    ]
    changes = [change for result in results for change in result.changes]
    opened = [change.incident for change in changes if change.incident.revision == 1]
    assert [incident.latest.kind for incident in opened] == [Kind.GATHERING]
    seconds = (opened[0].opened_at_ns - START_NS) / 1e9
    assert 7.0 < seconds < 9.5
    assert opened[0].latest.zone == "yard"

    people = [track for result in results for track in result.ground_tracks]
    # Where people walk in this footage (its annotations' feet through the published calibration); a few boxes
    # are of things that look like people, further back.
    inside = [-22 < track.east_m < 9 and -18 < track.north_m < 9 for track in people]
    assert np.mean(inside) > 0.8
    assert np.median([len(result.tracks) for result in results]) >= 4
    assert all(len(result.footprint) > 3 for result in results)


def test_without_a_pose_people_are_followed_but_nothing_is_claimed_on_the_ground(pipeline, frames):
    results = [pipeline.process(frame, None) for frame in itertools.islice(frames, 20)]
    assert len(results[-1].tracks) >= 3
    assert all(
        result.ground_tracks == [] and result.changes == [] and result.footprint == () for result in results
    )


def test_a_zoom_that_was_never_calibrated_leaves_the_place_unknown(pipeline, poses, frames, caplog):
    history = poses.history(START_NS)
    for frame in itertools.islice(frames, 3):
        pose = history.pose_at(frame.captured_at_ns)
        assert pipeline.process(frame, pose).footprint
        result = pipeline.process(frame, replace(pose, hfov_rad=4.0))
        assert (result.pose, result.ground_tracks, result.footprint) == (None, [], ())
    assert caplog.text.count("field of view") == 1


def test_a_clock_that_steps_back_begins_anew_instead_of_failing(pipeline, poses, frames):
    history = poses.history(START_NS)
    first, *rest = list(itertools.islice(frames, 12))
    for frame in rest:
        before = pipeline.process(frame, history.pose_at(frame.captured_at_ns))
    again = pipeline.process(first, history.pose_at(first.captured_at_ns))
    assert again.tracks == []
    assert before.tracks
    for frame in rest:
        after = pipeline.process(frame, history.pose_at(frame.captured_at_ns))
    known = {track.track_id for track in before.tracks}
    assert known.isdisjoint(track.track_id for track in after.tracks), "a track's id must never be used again"


def test_a_stream_of_other_proportions_than_the_camera_model_is_refused_by_name(pipeline, poses, frames):
    frame = next(iter(frames))
    square = replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, :360]))
    with pytest.raises(UsageError, match="360"):
        pipeline.process(square, poses.history(START_NS).pose_at(frame.captured_at_ns))
