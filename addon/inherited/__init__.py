"""What the application inherits from the proxy, which starts it: files in memory, without a name."""
