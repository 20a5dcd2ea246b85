"""The tables of FG-DM."""
