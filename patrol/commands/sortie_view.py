"""How a running sortie looks in the terminal: a live table for people, plain lines elsewhere."""

import logging
import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from patrol.domain.live import EyesStatus, FlightStatus
from patrol.domain.sorties import SortieEvent, SortieState
from patrol.edge.bus import Message, Notice

_NOTICES_KEPT = 8
_STATE_STYLES = {SortieState.COMPLETED: "green", SortieState.ABORTED: "red", SortieState.LOST_CONTACT: "red"}


class SortieView:
    """Shows the messages of a sortie. Not at a terminal, only warnings and changes of state are printed."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._flight: FlightStatus | None = None
        self._eyes: EyesStatus | None = None
        self._lines: deque[Text] = deque(maxlen=_NOTICES_KEPT)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, message: Message) -> None:
        """Take note of a message from one of the processes."""
        match message:
            case FlightStatus():
                self._flight = message
            case EyesStatus():
                self._eyes = message
            case SortieEvent():
                reason = f": {message.reason}" if message.reason else ""
                self.say(
                    f"{message.state.value.replace('_', ' ')}{reason}", _STATE_STYLES.get(message.state, "")
                )
            case Notice() if message.level >= logging.WARNING:
                self.say(message.sentence, "red" if message.level >= logging.ERROR else "yellow")
            case _:
                pass

    def say(self, sentence: str, style: str = "") -> None:
        """Show one sentence with the time of day."""
        line = Text(f"{time.strftime('%H:%M:%S')}  {sentence}", style=style)
        self._lines.append(line)
        if not self._console.is_terminal:
            self._console.print(line, soft_wrap=True)

    def _render(self) -> RenderableType:
        table = Table(title=self._title, show_header=False, title_justify="left", expand=False)
        table.add_column(style="bold")
        table.add_column()
        flight, eyes = self._flight, self._eyes
        if flight is not None:
            table.add_row("sortie", flight.state.value.replace("_", " "))
            table.add_row("aircraft", _aircraft_words(flight))
        if eyes is not None:
            camera = eyes.camera + (f" ({eyes.camera_reason})" if eyes.camera_reason else "")
            table.add_row("camera", camera)
            table.add_row("pictures", f"{eyes.frames_analysed} analysed, {eyes.frames_dropped} dropped")
            table.add_row("people", f"{len(eyes.tracks)} in view, {eyes.people_tracked} tracked so far")
            table.add_row("incidents", f"{eyes.incidents_open} open")
        return Group(table, *self._lines)


def _aircraft_words(flight: FlightStatus) -> str:
    words = [flight.mode or "no word yet", "armed" if flight.armed else "disarmed"]
    if flight.height_above_home_m is not None:
        words.append(f"{flight.height_above_home_m:.1f} m up")
    if flight.speed_mps is not None:
        words.append(f"{flight.speed_mps:.1f} m/s")
    if flight.battery_percent is not None:
        words.append(f"battery {flight.battery_percent:.0f} %")
    return ", ".join(words)
