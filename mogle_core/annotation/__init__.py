"""Makes masks for photos by parsers, and lists those that a person should repair."""
