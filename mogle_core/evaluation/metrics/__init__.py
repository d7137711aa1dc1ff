"""One metric in each file: arithmetic on features and label maps, without any network."""
