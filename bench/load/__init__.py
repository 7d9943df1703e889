"""The load generator, from the side of those who start it: what it is told, and what it saw.

It is a program of its own, in `bench/generator`, for both servers: one small process in Rust, since
what it takes of a machine of two cores is missing to the server that is measured.
"""
