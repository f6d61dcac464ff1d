"""The simulated drone: a MAVLink vehicle that behaves as the measured autopilots do, and its camera."""
