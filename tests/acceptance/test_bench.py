"""`patrol bench eyes` measures both sides in one run."""

import json
import subprocess
import sys


def test_bench_eyes_reports_ours_beside_the_bare_model_run(tmp_path):
    report = tmp_path / "eyes.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "patrol.cli", "bench", "eyes"),
            *("--rounds", "3", "--frames", "5", "--tile", "320", "--report", str(report)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(report.read_text())["cases"]
    assert [(case["tile_px"], case["tiles"]) for case in cases] == [(None, 1), (320, 4)]
    for case in cases:
        # Our path holds the bare run and more; beyond noise it cannot be the faster one.
        assert 0.2 < case["ours_over_bare"] < 1.2
        assert case["bare_fps"] > 0
    assert cases[0]["bare_fps"] > 2 * cases[1]["bare_fps"], "four tiles cost more than one"
