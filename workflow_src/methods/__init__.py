"""Learning: one file per objective, and the one training loop they share.

A new method is one file here, named after its kind, and one row in the configuration.
"""
