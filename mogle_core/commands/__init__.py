"""The sub-commands of `mogle`, one a file: its options, a call, and what is printed."""
