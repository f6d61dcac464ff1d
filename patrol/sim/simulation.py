"""The simulation: the drone and its autopilot in step, paced by a clock, with a camera that looks on."""

import time
from collections.abc import Callable
from typing import Protocol

from patrol.sim.body import Truth
from patrol.sim.drone import STEP_NS, Drone

PICTURE_NS = 100_000_000  # 10 pictures per second of simulated time
LONGEST_LEAP_NS = (
    5_000_000_000  # after a longer sleep of the machine, simulated time skips none of it but starts anew
)


class Autopilot(Protocol):
    """What a dialect gives: an autopilot on a link."""

    def receive(self, data: bytes) -> None:
        """Take one datagram."""

    def step(self) -> None:
        """Fly and talk for one step of the drone."""


class Link(Protocol):
    """Where datagrams come from."""

    def receive(self) -> list[bytes]:
        """The datagrams that have come since the last call."""

    def wait(self, seconds: float) -> None:
        """Wait until something comes, at most for so long."""


class Camera(Protocol):
    """Takes a picture of the truth; must not block."""

    def capture(self, truth: Truth) -> None:
        """Take a picture now."""


class Simulation:
    """A drone with its autopilot and camera."""

    def __init__(self, drone: Drone, autopilot: Autopilot, camera: Camera | None = None) -> None:
        self.drone = drone
        self._autopilot = autopilot
        self._camera = camera

    def step(self) -> None:
        """Move on by one step of the drone."""
        self._autopilot.step()
        self.drone.step()
        if self._camera is not None and self.drone.boot_ns % PICTURE_NS == 0:
            self._camera.capture(self.drone.truth)

    def run(
        self,
        link: Link,
        *,
        speed_up: float,
        is_over: Callable[[], bool],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Fly in step with the clock, `speed_up` times as fast, until it `is_over`."""
        started_ns = monotonic_ns()

        def elapsed_ns() -> int:
            return int((monotonic_ns() - started_ns) * speed_up)

        while not is_over():
            due_ns = elapsed_ns()
            behind_ns = due_ns - self.drone.boot_ns
            if behind_ns > LONGEST_LEAP_NS * speed_up:
                started_ns += int((behind_ns - STEP_NS) / speed_up)
                continue
            for datagram in link.receive():
                self.drone.since_step_ns = elapsed_ns() - self.drone.boot_ns
                self._autopilot.receive(datagram)
            if behind_ns >= STEP_NS:
                self.step()
            else:
                link.wait((STEP_NS - behind_ns) / 1e9 / speed_up)
