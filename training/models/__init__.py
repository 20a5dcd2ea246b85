"""Models of diffusers as bases to train and sample."""
