"""The command lines: what each command reads, its help, shell completion, and how its configuration is composed."""
