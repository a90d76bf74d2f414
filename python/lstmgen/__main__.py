"""`python -m lstmgen`."""

import sys

from lstmgen.cli.main import main

sys.exit(main())
