"""`./run.sh check`: is everything as it must be? One line for each question, with what to do where it is not.

Nothing is changed anywhere: Forgejo is asked by GET and HEAD, and the account signs in.
"""
