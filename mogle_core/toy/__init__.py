"""A small world of drawn faces, in which a laptop can train and demonstrate the whole method."""
