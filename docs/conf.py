"""Settings of the site: `make site` writes it to build/site."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import reference  # noqa: E402

import numasim  # noqa: E402

reference.write(HERE / "reference")  # before anything is read

project = "numasim"
author = "the numasim developers"
copyright = "the numasim developers, Apache-2.0"
release = version = numasim.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_title = f"numasim {release}"
html_copy_source = False
html_static_path, html_css_files = ["_static"], ["site.css"]
smartquotes = False  # commands are copied: -- and '…' stay what they are
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
