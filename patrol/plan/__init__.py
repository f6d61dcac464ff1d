"""Flight plans and market maps: what people draw, read with care and checked in sentences."""
