"""Pictures by the thousand: jobs, seeds, resuming, shards, and the backends that make them."""
