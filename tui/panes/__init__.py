"""One widget a file; a pane takes values, never the engine."""
