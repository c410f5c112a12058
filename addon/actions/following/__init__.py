"""Following logs while jobs run."""
