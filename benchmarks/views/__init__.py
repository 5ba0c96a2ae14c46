"""One page, written as a Preact component and as a template of Jinja2."""
