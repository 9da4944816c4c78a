"""Command lines: what each command reads, its help, shell completion, and its configuration."""
