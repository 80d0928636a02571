"""Methods of other libraries, one short file each, which says what convention it converts.

They need the extra ``peers`` (``make peers`` gives them an environment of their own); one whose library is missing or
does not run is a row of the table that says so. `workbench bench --peers` imports this package, nothing else does.
"""

from importlib import import_module

ADAPTERS = ("captum", "dattri", "kronfluence", "devinterp", "bergson")

for _name in ADAPTERS:
    import_module(f"{__name__}.{_name}_methods")
