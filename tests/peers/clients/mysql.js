// mysql2: text queries, statements prepared on the server, errors.
'use strict';
const mysql = require('mysql2/promise');

(async () => {
  const client = await mysql.createConnection({ host: '127.0.0.1', port: Number(process.argv[2]), user: 'root' });
  await client.query('CREATE DATABASE js');
  await client.changeUser({ database: 'js' });
  await client.query('CREATE TABLE t (a INT, b TEXT)');
  for (let number = 0; number < 30; number++) {
    await client.execute('INSERT INTO t VALUES (?, ?)', [number, 'hunter2']);
    await client.query('SELECT b FROM t WHERE a = ?', [number]);
  }
  // All at once: the driver queues them.
  await Promise.all([...Array(20).keys()].map((number) =>
    client.execute('SELECT a, b FROM t WHERE a = ?', [number])));
  for (const wrong of ['SELECT nothing FROM nowhere', 'SELEC 1']) {
    await client.query(wrong).then(() => { throw new Error('went well'); }, () => {});
  }
  await client.ping();
  await client.end();
})();
