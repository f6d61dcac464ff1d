"""What the camera sees: model registry, detector, tiles, tracking, and figures of how good they are."""
