"""The node types: one file per type or family, each a function with a typed configuration."""
