"""The record of telemetry: what is written comes back, and what is broken is named."""

import logging
import math
from pathlib import Path

import pytest

from patrol.domain.errors import UsageError
from patrol.domain.heights import Amsl
from patrol.domain.telemetry import AttitudeSample, ClockSample, GimbalSample, LensSample, PositionSample
from patrol.edge.telemetry_log import TelemetryLog, read_telemetry

SAMPLES = [
    PositionSample(1_800_000_000_123_456_789, 31.3, 120.62, Amsl(16.25), 12.25, 1.5, -0.25, 0.0),
    AttitudeSample(1_800_000_000_123_456_790, 0.01, -0.02, 3.1),
    GimbalSample(1_800_000_000_123_456_791, 0.0, -0.6, 0.25),
    LensSample(1_800_000_000_123_456_792, 0.63),
    ClockSample(1_800_000_000_123_456_793, -12_345_678, 2_000_000),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "telemetry.jsonl"


def test_what_is_written_comes_back_in_its_order(path):
    for part in (SAMPLES[:2], SAMPLES[2:]):  # a process that was started again goes on in the same file
        with TelemetryLog(path) as log:
            for sample in part:
                log.write(sample)
    assert list(read_telemetry(path)) == SAMPLES
    assert path.read_text().splitlines()[0].startswith('{"kind":"position","at_ns":1800000000123456789,')


def test_samples_that_are_no_numbers_are_recorded_as_they_came(path):
    with TelemetryLog(path) as log:
        log.write(GimbalSample(1, 0.0, math.nan, 0.0))
    (sample,) = read_telemetry(path)
    assert math.isnan(sample.pitch_rad)


def test_a_line_that_was_cut_off_is_passed_over(path):
    with TelemetryLog(path) as log:
        for sample in SAMPLES:
            log.write(sample)
    path.write_bytes(path.read_bytes()[:-20])
    assert list(read_telemetry(path)) == SAMPLES[:-1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tracks: 3", "line 2: "),
        ('{"kind":"weather"}', "line 2: kind 'weather' is not known"),
        ("[1, 2]", "line 2: "),
        ('{"kind":["position"]}', "line 2: kind"),
        ('{"kind":"lens","at_ns":1}', "line 2: hfov_rad"),
        ('{"kind":"lens","at_ns":"noon","hfov_rad":1}', "line 2: at_ns"),
    ],
)
def test_a_line_that_is_no_sample_is_named(path, line, says):
    path.write_text('{"kind":"lens","at_ns":1,"hfov_rad":0.5}\n' + line + "\n")
    with pytest.raises(UsageError, match=says):
        list(read_telemetry(path))


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_telemetry(path))


def test_a_full_disk_stops_the_record_and_nothing_else(caplog):
    with caplog.at_level(logging.WARNING), TelemetryLog(Path("/dev/full")) as log:
        for _ in range(2000):
            for sample in SAMPLES:
                log.write(sample)
    assert [record.message for record in caplog.records] == [
        "/dev/full: telemetry is not recorded any more: No space left on device"
    ]
