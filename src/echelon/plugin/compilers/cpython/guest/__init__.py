"""What runs inside the engine: these files are built into it and see only its standard library."""
