"""Where compilers run: no network, no environment, a private folder, and limits on everything.

`process.py` starts and watches a confined process, `confine.py` is the program that confines itself and then becomes
the compiler, with `landlock.py`, `seccomp.py` and `namespaces.py` as its means.
"""
