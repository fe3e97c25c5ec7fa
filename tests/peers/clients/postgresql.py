"""psycopg 3: one by one, in a pipeline, prepared on the server, in bulk, and with errors."""

import sys

import psycopg

where = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres"
with psycopg.connect(where, autocommit=True) as connection:
    connection.execute("CREATE TABLE py (a int, b text)")
    with connection.pipeline():
        for number in range(20):
            connection.execute("INSERT INTO py VALUES (%s, %s)", (number, "hunter2"))
    for number in range(10):
        connection.execute("SELECT b FROM py WHERE a = %s", (number,), prepare=True).fetchall()
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE py SET b = %s WHERE a = %s", [("hunter2", n) for n in range(5)])
    for wrong in ("SELECT nothing FROM nowhere", "SELECT 1/0"):
        try:
            connection.execute(wrong)
        except psycopg.Error:
            continue
        raise SystemExit("went well: " + wrong)
with psycopg.connect(where) as connection:
    connection.execute("SELECT count(*) FROM py").fetchone()
