"""LayerDiffusion: a photo's subject and background learnt and changed at once."""
