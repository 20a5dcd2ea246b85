"""Nodes that read, edit and rank condition maps."""
