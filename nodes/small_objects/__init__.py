"""Nodes for small objects (SOEDiff)."""
