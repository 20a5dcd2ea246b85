"""What a layered edit learns (LayerDiffusion)."""
