"""`python -m finesse.benchmarks.soediff` makes the tables of SOEDiff."""

from ...training.loop.config import script
from .tables import main

script(main)
