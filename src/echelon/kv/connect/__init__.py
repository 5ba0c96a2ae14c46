"""KV Connect: stores on other machines, and this one for others, over HTTP."""
