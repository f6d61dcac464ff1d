"""Who may do what: users, sessions, bearer tokens, and the routers that ask for them."""
