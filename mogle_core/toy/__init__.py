"""A small world of drawn faces in which the whole method can be trained and shown on a laptop."""
