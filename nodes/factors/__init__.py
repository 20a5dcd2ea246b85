"""Nodes that sample condition maps (FG-DM)."""
