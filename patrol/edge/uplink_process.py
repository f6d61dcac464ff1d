"""The uplink of one sortie: alerts from the outbox to the station, and the live state beside them."""

import base64
import threading

from patrol.domain.errors import UsageError
from patrol.domain.live import EyesStatus, FlightStatus
from patrol.edge.bus import Bus, LivePicture
from patrol.edge.job import Job, background, run_process
from patrol.uplink.live import LivePublisher
from patrol.uplink.outbox import Outbox
from patrol.uplink.publisher import Publisher
from patrol.uplink.station import StationClient, token_source


def _run(job: Job, bus: Bus, stop: threading.Event) -> int:
    settings = job.settings
    if settings.station is None:
        raise UsageError("station: the uplink needs one; the supervisor does not start it without")
    token = token_source(settings.token_file)
    with (
        StationClient(settings.station, token) as alerts_client,
        StationClient(settings.station, token) as live_client,
        Outbox(settings.outbox_path) as outbox,
    ):
        live = LivePublisher(live_client, settings.drone)
        with background(Publisher(outbox, alerts_client).run, stop), background(live.run, stop):
            while not stop.is_set():
                match bus.receive(timeout_s=0.2):
                    case FlightStatus() as status:
                        live.flight(status)
                    case EyesStatus() as status:
                        live.eyes(status)
                    case LivePicture() as picture:
                        live.picture(base64.b64decode(picture.jpeg_base64))
                    case _:
                        pass
    return 0


if __name__ == "__main__":
    run_process("uplink", _run)
