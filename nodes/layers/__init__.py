"""Nodes for layered edits (LayerDiffusion)."""
