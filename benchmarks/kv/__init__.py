"""Key-value stores that do the same work: Echelon's, on each engine, and Deno's in a process of its own."""
