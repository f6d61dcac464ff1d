"""`patrol demo` as a process of its own, told to end before it flies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

# Generous: this machine may be busy. Nothing here waits for it to pass.
_SOON_S = 60.0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "patrol.cli", "demo", "--headless", "--keep", str(tmp_path / "kept")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def _await_child(process: subprocess.Popen[str]) -> int:
    """The first process that the demo starts: its station."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + _SOON_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.01)
    pytest.fail(f"the demo started nothing: {process.communicate()[0]}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_end_before_the_flight_leaves_no_process_behind(demo, number):
    station = _await_child(demo)
    try:
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=_SOON_S)
        assert demo.returncode == 128 + number, said
        assert "Traceback" not in said
        assert not Path(f"/proc/{station}").exists()
    finally:
        with suppress(ProcessLookupError):
            os.kill(station, signal.SIGKILL)
