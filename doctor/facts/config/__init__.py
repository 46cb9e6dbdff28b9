"""Command lines, environment files and units: what was declared, before any engine ran."""
