"""Three telephone providers behind one API that can be trusted: the package every Lambda function shares."""

import gc
import os

__version__ = "0.2.0"

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # What a container imports stays. Garbage collection would search it again and again, until the edge resumes it.
    gc.disable()
