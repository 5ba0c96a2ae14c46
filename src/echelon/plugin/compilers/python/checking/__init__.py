"""What a program means: names and types, or why it is refused."""
