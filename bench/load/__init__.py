"""The load generator: a process of its own that plays a plan against one server and notes times.

It knows no statistics; those who started it make numbers of what it noted.
"""
