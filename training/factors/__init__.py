"""What a factor learns, and data sets made of factors (FG-DM)."""
