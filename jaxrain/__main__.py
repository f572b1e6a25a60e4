import sys

from jaxrain.cli import main

sys.exit(main())
