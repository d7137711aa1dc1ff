"""Training Face-MoGLE: what is drawn, one step, and where it starts from."""
