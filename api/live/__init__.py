"""The live state of every drone and its live picture: in memory only, newest wins."""
