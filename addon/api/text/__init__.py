"""Texts made of results: Markdown, terminal text, several logs in one."""
