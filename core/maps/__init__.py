"""Condition maps as data: their palettes, objects, edits and object recall."""
