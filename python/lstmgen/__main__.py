"""`python -m lstmgen`."""

import sys

from lstmgen.cli import main

sys.exit(main())
