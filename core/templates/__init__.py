"""How a template is read, checked and run. `core.expressions` is the door to it."""
