"""How good a set of generated portraits is: the paper's metrics, one in each file, and its table."""
