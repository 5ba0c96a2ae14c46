"""The languages Echelon compiles by itself; each module is one, on the seam that users' compilers use."""
