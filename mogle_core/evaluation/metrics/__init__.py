"""One metric a file: arithmetic on features and label maps, without any network."""
