"""Sphinx: the site of the guides and of the Python reference, which comes out of the docstrings of the package as
it is built. The C reference beside it is Doxygen's, out of include/raddle. `make docs` runs both.
"""

project = "Raddle"
copyright = "the Raddle authors, Apache-2.0"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
root_doc = "index"
html_theme = "furo"
html_title = "Raddle"
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Pages of the repository that the site does not have are linked to by their names there.
suppress_warnings = ["myst.xref_missing"]
