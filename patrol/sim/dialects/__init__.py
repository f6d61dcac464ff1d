"""The autopilots that the simulated drone can be; each package behaves as the real one was measured to."""
