"""Network bodies: observations -> features, one kind a file."""
