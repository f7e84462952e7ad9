"""What happens in a fold: splits, steps, columns, networks and fits, each learned in the fold."""
