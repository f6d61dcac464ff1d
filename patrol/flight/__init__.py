"""The aircraft: the only room that writes MAVLink to it. One drone, one link, one thread that decides."""
