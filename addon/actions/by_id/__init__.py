"""The use cases of the dialect by id: runs and jobs are named by Forgejo's database ids."""
