"""Configuration: typed schemas of every front door, composition over Hydra, validation and help."""
