"""What people, operators and other services can have done: a file for each verb, in a folder for each topic.

Whoever calls a use case opens the one transaction and hands it in as `uow`. A use case takes the `Database`
instead where it needs several: to hash, to ask a provider or to use up a challenge between two of them, or to
begin again after a lost race. A route that only reads asks a repository, without a use case.
"""
