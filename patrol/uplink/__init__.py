"""From the edge to the station: a durable outbox, what empties it, and the live picture beside it."""
