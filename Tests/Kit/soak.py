"""The soak: nothing yet to soak, said aloud."""

import sys

print("skipped: the soak follows batond")
print("0 passed, 0 failed, 1 skipped")
sys.exit(0)
