"""Pictures of what ``namegen_ext.diagnostics`` found, and one page that shows and explains them.

Needs matplotlib: ``pip install "namegen_ext[plot]"``. It is imported when a picture is drawn.
"""

from namegen_ext.plotting.draw import draw_all
from namegen_ext.plotting.page import render_page
from namegen_ext.plotting.picture import NumberTable, Picture, check_matplotlib
from namegen_ext.plotting.write import write_report

__all__ = ["NumberTable", "Picture", "check_matplotlib", "draw_all", "render_page", "write_report"]
