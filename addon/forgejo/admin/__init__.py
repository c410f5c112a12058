"""The administrator's account and its web session. Nothing outside this folder sees a password or a cookie."""
