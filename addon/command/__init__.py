"""The command that run.sh and an installed package start. It checks the environment, then becomes the proxy or demo."""
