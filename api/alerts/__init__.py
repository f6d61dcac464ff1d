"""Alerts: what the edge reports, what people make of it, and how terminals read it and miss nothing."""
