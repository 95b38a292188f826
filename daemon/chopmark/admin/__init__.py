"""What only root may do for the console: a fixed list of verbs, in one table."""
