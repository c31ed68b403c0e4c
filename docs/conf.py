"""How Sphinx builds the documentation: without network, and with every warning an error."""

from __future__ import annotations

from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import stringify_annotation

from trimif import Announcement, Request
from trimif._facts import Fact

project = "trimif"
author = "the trimif authors"
copyright = "2026, the trimif authors"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib_trio"]
html_theme = "alabaster"
html_theme_options = {"description": "The MIF API for Trio", "fixed_sidebar": True, "page_width": "1080px"}
html_copy_source = False
exclude_patterns = ["_build"]

# `Name` in a docstring is a link to that name; a name that the reference lacks fails the build.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    # The documentation builds without network, so there is no index of other projects' names to check these against.
    ("py:.*", r"(trio|ipaddress|errno|math|collections|contextlib|socket|ssl|typing|pathlib)(\.\w+)*"),
    # Two classes that name each other, of which one is read before the other is there; then no name of it is resolved.
    ("py:class", r"IPv6(Address|Network)"),
    ("py:class", "SocketStream"),  # Trio's, in a module that imports it for type checkers only
    ("py:class", r"trimif\._\w+\.(T|T_co|AnnouncementT|OwnerT)"),  # type variables
]

# sphinxcontrib-trio writes "await" and "async with" before what is to be called so; for the members of a class it
# needs the older one of Sphinx 9's two autodocs.
autodoc_use_legacy_class_based = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True

# Long unions, which type checkers and signatures see in full. Readers are shown their names.
UNIONS = {
    stringify_annotation(Announcement, "smart"): "~trimif.Announcement",
    stringify_annotation(Request, "smart"): "~trimif.Request",
    stringify_annotation(Fact, "smart"): "~trimif.testing.Fact",
}


def name_unions(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show the names of long unions in a signature."""
    for union, short in UNIONS.items():
        signature = signature and signature.replace(union, short)
        returns = returns and returns.replace(union, short)
    return signature, returns


def link_to_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> Element | None:
    """Where a name is written down is private: ``trimif._model.Family`` is documented as ``trimif.Family``."""
    place, _, name = str(node["reftarget"]).rpartition(".")
    if place and not place.startswith(("trimif._", "trimif.testing._")) and place != "trimif.testing":
        return None
    domain = env.domains.python_domain
    for public in (f"trimif.{name}", f"trimif.testing.{name}"):
        found = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, content)
        if found is not None:
            return found
    return None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", name_unions)
    app.connect("missing-reference", link_to_public_name)
