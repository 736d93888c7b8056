"""`ablate FILE`: a grid of trainings and tests, worked off and made into a table.

    grid.py, grid_tasks.py    what a grid file may say
    read_grid.py              the file, and the grid it is based on
    ablate_choices.py, ablate_command.py    the command
    plan.py                   what is there already, what is missing
    run_grid.py               the order of the work
    generated_data.py, train_run.py, measure_cells.py, measure_films.py    the work
    own_commands.py, made_of.py, grid_folders.py    how commands are started, what was made of what, where it lies
    cell_results.py, claims.py, result_files.py, plots.py    the answers as tables and pictures
"""
