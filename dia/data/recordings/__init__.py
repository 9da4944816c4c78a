"""Label raw recordings: models run once, and decisions from their cached outputs are repeatable."""
