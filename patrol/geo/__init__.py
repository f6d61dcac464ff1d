"""Camera, ground and map: where on the earth a pixel lies, how sure that is, and back again."""
