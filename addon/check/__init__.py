"""`./run.sh check`: checks the configuration, and says what to do about each problem. It changes nothing.

Forgejo gets only GET and HEAD requests, and the sign-in of the account.
"""
