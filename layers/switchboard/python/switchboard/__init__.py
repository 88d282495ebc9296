"""Three telephone providers behind one API that can be trusted: the package every Lambda function shares."""

import gc
import os
import sys
import warnings

__version__ = "0.2.0"

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # What a container imports stays. Garbage collection would search it again and again, until the edge resumes it.
    gc.disable()
    # pydantic would look through all installed packages for plug-ins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # requests needs no detector of encodings, which takes a thirtieth of a cold start: all answers are read as bytes.
    sys.modules["charset_normalizer"] = None  # type: ignore[assignment]
    warnings.filterwarnings("ignore", message="Unable to find acceptable character detection")
