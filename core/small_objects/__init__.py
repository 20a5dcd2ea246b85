"""SOEDiff: boxes of a few dozen pixels, the window around them, and the losses of SO-LoRA."""
