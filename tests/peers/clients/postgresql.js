// node-postgres: simple and parametrized queries, prepared by name, in a transaction, with errors.
'use strict';
const { Client } = require('pg');

(async () => {
  const client = new Client({ host: '127.0.0.1', port: Number(process.argv[2]), user: 'postgres', database: 'postgres' });
  await client.connect();
  await client.query('CREATE TABLE js (a int, b text)');
  await client.query('BEGIN');
  for (let number = 0; number < 20; number++) {
    await client.query('INSERT INTO js VALUES ($1, $2)', [number, 'hunter2']);
  }
  await client.query('COMMIT');
  // All at once: the driver queues them.
  await Promise.all([...Array(20).keys()].map((number) =>
    client.query({ name: 'find', text: 'SELECT b FROM js WHERE a = $1', values: [number] })));
  for (const wrong of ['SELECT nothing FROM nowhere', 'SELECT 1/0']) {
    await client.query(wrong).then(() => { throw new Error('went well'); }, () => {});
  }
  await client.end();
})();
