"""Support for Phalanx notebooks in Python tools: papermill and nbconvert."""
