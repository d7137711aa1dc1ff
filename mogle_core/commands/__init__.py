"""The sub-commands of `mogle`, one in each file: options, the call, and the printed lines."""
