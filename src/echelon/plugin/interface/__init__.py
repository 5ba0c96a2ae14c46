"""The interface of a module as text for other tools: WIT, and stubs for Python's type checkers."""
