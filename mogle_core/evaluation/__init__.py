"""How good a set of generated portraits is: the paper's metrics, one a file, and the table they fill."""
