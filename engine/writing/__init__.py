"""Ids to lyrics: sampling and the character generator."""
