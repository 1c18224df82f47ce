"""Training encoders: objectives, one step, the one loop, and the job that a rule calls."""
