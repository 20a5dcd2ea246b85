"""Condition maps as data: palettes, objects, edits, recall."""
