"""Night Patrol: a drone's automatic patrol over a night market, from the picture to the officer's phone."""

__version__ = "0.1.0"
