"""The data of a training step. The path of a batch, in the order in which it is made:

1. `schedule.py`: `Schedule.step` says which pairs a step learns from, `choose` which caption and side of each.
2. `samples.py`: `EncodedSamples.batch` puts the parts of these pairs together. `open_samples` is where a run begins.
3. `rows.py`: `DirectRows` encodes one part: a face, a mask, a text.
4. `items.py`: finds the pairs of the data set and reads their files.

With a cache, `cache/` encodes the parts beforehand, and they are read from its files instead of steps 3 and 4.
A batch does not contain noise, time and dropped conditions: `draws.py` draws them for each sample by its number.
"""
