"""Routes over a market, one file a style; each offers its runs, and `order` joins them into one flight."""
