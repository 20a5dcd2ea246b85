"""The tables of LayerDiffusion."""
