"""Tokenizers: what should be predicted at each hidden patch."""
