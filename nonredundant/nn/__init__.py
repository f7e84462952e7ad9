"""Code that needs torch; other modules import torch within functions only."""
