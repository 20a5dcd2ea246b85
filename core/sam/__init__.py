"""Segment Anything: its weights, its prompts and its masks."""
