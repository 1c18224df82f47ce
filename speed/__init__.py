"""How fast each step is, against a plain baseline and the hardware limit: `make bench`.

One script a step, each of which runs alone (`python -m speed.collect`). Sides are measured in turn,
each in a process of its own, for several rounds; what counts are the medians of the ratios within a
round, since machines are noisy.
"""
