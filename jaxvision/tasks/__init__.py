"""What experiments on the same kind of problem share: its loss, its metrics, its figures."""
