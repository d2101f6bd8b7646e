"""The 3D world: camera, mesh, stretch and coverage in plain numpy and numba, and the headless OpenGL that draws it.

Knows no Beam and no networks. World frame: right-handed, x right, y up, the photo's camera at the origin looking
along -z. Image planes are in tangent units: a point (x, y, z) is seen at (x / -z, y / -z).
"""
