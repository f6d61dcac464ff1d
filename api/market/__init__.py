"""The market map as the station was started with."""
