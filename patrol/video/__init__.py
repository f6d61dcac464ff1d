"""Pictures in and out: sources with capture times, H.264 writers, redaction of what is kept."""
