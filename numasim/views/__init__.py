"""What DAMON's users look at, of a simulated run: tables that the command line prints.

Numbers are defined as damo defines them, with the truth beside them where a simulator knows it.
"""
