"""``bench quality``: how good the models are on lists that people bring, against one another.

quality_models.py says what is compared and near_names.py what a near copy is; quality_runs.py measures and keeps rows;
quality_table.py and quality_chart.py show them; quality_command.py is the command.
"""
