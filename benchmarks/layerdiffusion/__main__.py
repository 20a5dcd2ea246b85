"""`python -m finesse.benchmarks.layerdiffusion` makes the tables of LayerDiffusion."""

from ...training.loop.config import script
from .tables import main

script(main)
