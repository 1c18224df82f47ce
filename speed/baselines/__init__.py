"""What a user would otherwise do, written plainly: the other side of each ratio."""
