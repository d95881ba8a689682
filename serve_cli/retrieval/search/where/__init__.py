"""Conditions on columns: text such as ``price < 50 and brand = 'x'`` -> an Arrow expression."""
