"""Reading out: one linear probe per state variable on frozen features, the majority baseline, and their scores."""
