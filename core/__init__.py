"""The pure rules: states, events, graphs, expressions and errors. No input, no output."""
