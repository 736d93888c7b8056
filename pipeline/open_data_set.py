"""A finished data set in DuckDB, wherever it lies: a view for each table."""

from pathlib import Path

import duckdb

from pipeline.published_set import NoDataSetError, table_files
from pipeline.shared_files import ObjectFiles, is_object_address
from schemas.views import views_of_files, views_sql


def open_data_set(place: str | Path) -> duckdb.DuckDBPyConnection:
    """A connection with the views of a data set.

    One in an object store is seen as the newest manifest has it now, for as long as the connection lives.

    Args:
        place: a folder, or an address in an object store.

    Raises:
        NoDataSetError: there is no finished data set.
        NoSuchStoreError: the store cannot be used.
    """
    if is_object_address(str(place)):
        objects = ObjectFiles(str(place))
        views = views_of_files(table_files(objects))
        connection = duckdb.connect()
        connection.register_filesystem(objects.system)
    else:
        folder = Path(place)
        if not (folder / "views.sql").is_file():
            raise NoDataSetError(f"{folder} holds no finished data set (no views.sql); run build-vico with --out there "
                                 "first")
        views = views_sql(folder)
        connection = duckdb.connect()
    connection.execute(views)
    return connection
