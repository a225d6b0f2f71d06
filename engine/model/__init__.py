"""Ids to logits: the cells from their equations, the network, one fast step, and its tensors."""
