"""TypeScript, by the AssemblyScript compiler in a process that stays."""
