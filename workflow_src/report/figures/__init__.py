"""Figures: one file for each, which `write` finds by the catalogue.

A file of scores has one function, ``figure(config, data)``, which also takes the entry's
``options``, and returns a matplotlib figure. `style` has the look and saves it as PDF and PNG;
`heat_map` and `points` draw what several figures share.
"""
