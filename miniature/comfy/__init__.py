"""The miniature in ComfyUI: its loaders."""
