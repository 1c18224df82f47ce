"""Auditing labels: the annotated RAM bytes, in recorded frames and when they are written.

`measure` makes one file of measurements a game, from what `recorded` finds in frames and `emulator`
by writing; `measured` reads it, and `verdict` says what follows for a variable.
"""
