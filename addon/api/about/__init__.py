"""The extension's pages about itself, below /api/v1/actions-extensions."""
