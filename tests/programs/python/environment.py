import os

usual = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PWD", "TMPDIR", "USER", "HOSTNAME", "TERM"}
print(sorted(name for name in os.environ if name not in usual and not name.startswith("PYTHON")))
