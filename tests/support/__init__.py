"""Engines that the tests compare ours with."""
