"""Tidying: which frame is train, validation, test or dropped, and which variables stay."""
