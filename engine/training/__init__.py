"""Batches to weights: the plan, the trainer, checkpoints and the run on disk."""
