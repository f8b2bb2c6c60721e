"""Other people's files and commands, one file each, in and out.

kdamonds YAML and JSON, the damo command line, masim configurations.
"""
