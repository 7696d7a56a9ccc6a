"""What is made of what was measured.

- ``csv_file`` writes results, ``results`` reads them back.
- ``terminal_tables`` prints them; ``changes`` says what became faster or slower between two files.
- ``charts`` draws them, ``chart_files`` writes the drawings.
- ``markdown_page`` and ``markdown_tables`` write a page of them.
- ``requested_report`` checks which of these were asked for, before anything is measured, and makes them.
"""
