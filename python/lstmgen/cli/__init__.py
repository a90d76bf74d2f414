"""The command line: `main.py` chooses the command; each command is a module, imported when it is
named.
"""
