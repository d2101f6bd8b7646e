"""The networks: their definition, their training, and the registry that loads them.

Knows no Beam and no OpenGL.
"""
