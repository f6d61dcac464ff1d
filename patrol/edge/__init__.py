"""What runs beside a drone: the processes of one sortie, the supervisor over them, and one frame's way."""
