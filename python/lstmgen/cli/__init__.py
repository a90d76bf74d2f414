"""The command line.

`main.py` chooses the command. Each command is a module, which is imported when it is named.
"""
