"""PyMySQL: statements, many rows at once, several statements in one text, errors."""

import sys

import pymysql
from pymysql.constants import CLIENT

connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root", autocommit=True,
                             client_flag=CLIENT.MULTI_STATEMENTS)
with connection.cursor() as cursor:
    cursor.execute("CREATE DATABASE py")
    connection.select_db("py")
    cursor.execute("CREATE TABLE t (a INT, b TEXT)")
    cursor.executemany("INSERT INTO t (a, b) VALUES (%s, %s)", [(n, "hunter2") for n in range(50)])
    for number in range(20):
        cursor.execute("SELECT b FROM t WHERE a = %s", (number,))
        assert cursor.fetchall()
    cursor.execute("SELECT COUNT(*) FROM t; SELECT 'hunter2'")
    while cursor.nextset():
        pass
    for wrong in ("SELECT nothing FROM nowhere", "SELEC 1"):
        try:
            cursor.execute(wrong)
        except pymysql.Error:
            continue
        raise SystemExit("went well: " + wrong)
connection.ping()
connection.close()
