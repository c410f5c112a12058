"""HTTP on both ends: paths and parameters in; JSON, text, Markdown, zip and event streams out."""
