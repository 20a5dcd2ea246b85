"""Runs the example workflows on the miniature in a real ComfyUI, and shows what they made."""
