"""Maj-clf: the baseline without an encoder (arXiv 1906.08226, section 5.1).

It declares all there is to say: nothing is learned from frames, and its probe predicts the most
frequent value of each variable in train.
"""

HAS_ENCODER = False
LEARNS_FROM = None
PROBE = "majority"
