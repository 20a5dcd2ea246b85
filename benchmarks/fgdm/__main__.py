"""`python -m finesse.benchmarks.fgdm` makes the tables of FG-DM."""

from ...training.loop.config import script
from .tables import main

script(main)
