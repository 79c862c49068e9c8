"""Takes the foreign keys from the tables of django-djaffar 0.1.10, where there are any; their rows stay.

Django knew of those rows and deleted them with their session and their user. It does so no longer, and the constraints
would refuse every log-out. `manage.py djaffar_move` copies the rows to Djaffar's own tables.
"""

import re

from django.db import migrations

TABLES = ("djaffar_activity", "djaffar_sessioninfo")
# As the SQLite of every Django since 1.8 has written them.
REFERENCES = re.compile(r'\s+REFERENCES\s+"[^"]*"\s*\([^)]*\)(\s+DEFERRABLE\s+INITIALLY\s+DEFERRED)?', re.IGNORECASE)


def free(apps, schema_editor):
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        for table in TABLES:
            if table in present:
                if connection.vendor == "sqlite":
                    make_anew(cursor, table)
                else:
                    drop_constraints(connection, cursor, table)


def drop_constraints(connection, cursor, table):
    quote = connection.ops.quote_name
    for name, constraint in connection.introspection.get_constraints(cursor, table).items():
        if constraint["foreign_key"]:
            cursor.execute(f"ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(name)}")


def make_anew(cursor, table):
    """SQLite cannot drop a constraint."""
    cursor.execute("SELECT type, sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL", [table])
    found = cursor.fetchall()
    held = next(sql for kind, sql in found if kind == "table")
    freed = REFERENCES.sub("", held)
    if freed == held:
        return
    cursor.execute(freed.replace(f'"{table}"', f'"{table}_freed"', 1))
    cursor.execute(f'INSERT INTO "{table}_freed" SELECT * FROM "{table}"')
    cursor.execute(f'DROP TABLE "{table}"')
    cursor.execute(f'ALTER TABLE "{table}_freed" RENAME TO "{table}"')
    for kind, sql in found:
        if kind == "index":
            cursor.execute(sql)


class Migration(migrations.Migration):
    dependencies = [("djaffar", "0001_initial")]
    operations = [migrations.RunPython(free, migrations.RunPython.noop)]
