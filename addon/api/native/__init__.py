"""The dialect by id: Forgejo 17's own routes for jobs and runs, answered where this Forgejo lacks them."""
