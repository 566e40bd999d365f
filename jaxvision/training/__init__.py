"""Training: one loop, one step maker, many loss functions."""
