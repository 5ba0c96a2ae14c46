"""Rust: single files for strangers, crates for whoever is trusted."""
