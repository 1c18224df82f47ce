"""Splitting: the part of each frame, duplicates dropped, and the variables that are kept."""
