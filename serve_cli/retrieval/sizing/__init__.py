"""Estimate what a catalog of some size needs, from rates that were measured."""
