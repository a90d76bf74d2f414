"""Programs that are killed at a step of theirs."""

# `counted(call)` is a call that ends the program by SIGKILL once `left` such calls were made.
COUNTED = """
import os, signal, sys
def counted(call):
    def step(*given, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **options)
    return step
"""
