"""ArduCopter, as far as a patrol meets it. Behaviour measured against 4.6.0-dev (docs: autopilots)."""
