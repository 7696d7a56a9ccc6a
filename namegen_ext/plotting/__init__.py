"""Pictures of what ``namegen_ext.diagnostics`` found, and one page that shows and explains them.

Everything is made as bytes and text; the command ``namegen_ext.plot`` writes it. Needs matplotlib:
``pip install "namegen_ext[plot]"``. It is imported when a picture is drawn.

- ``report_files``: all files of a report; ``all_pictures``: all pictures, in the order in which they are shown.
- ``curves``, ``layers``, ``symbols``: the pictures; ``page``: the page around them.
- ``picture``: what a picture is; ``style``: how pictures look.
"""

from typing import TYPE_CHECKING

from namegen_ext._lazy import lazy_exports

if TYPE_CHECKING:
    from namegen_ext.plotting.all_pictures import draw_all
    from namegen_ext.plotting.page import render_page
    from namegen_ext.plotting.picture import NumberTable, Picture, PlotError, check_matplotlib
    from namegen_ext.plotting.report_files import render_report
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "namegen_ext.plotting.all_pictures": ("draw_all",),
            "namegen_ext.plotting.page": ("render_page",),
            "namegen_ext.plotting.picture": ("NumberTable", "Picture", "PlotError", "check_matplotlib"),
            "namegen_ext.plotting.report_files": ("render_report",),
        },
    )

__all__ = [
    "NumberTable",
    "Picture",
    "PlotError",
    "check_matplotlib",
    "draw_all",
    "render_page",
    "render_report",
]
