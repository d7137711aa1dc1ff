"""Training Face-MoGLE. `run.py` is a whole run, `loop.py` its steps, `step.py` the loss, `data/` the batches."""
