"""Three telephone providers behind one API that can be trusted: the package every Lambda function shares."""
