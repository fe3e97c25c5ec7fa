// ioredis: pipelines by itself, explicit ones, transactions, a script, errors.
'use strict';
const { Redis } = require('ioredis');

(async () => {
  const client = new Redis({ port: Number(process.argv[2]), enableAutoPipelining: true });
  await Promise.all([...Array(100).keys()].map((number) => client.set(`user:${number}`, 'hunter2')));
  await Promise.all([...Array(100).keys()].map((number) => client.get(`user:${number}`)));
  const pipeline = client.pipeline();
  for (let number = 0; number < 50; number++) pipeline.incr('counter');
  await pipeline.exec();
  await client.multi().hset('h', 'a', 1).hgetall('h').exec();
  await client.eval('return ARGV[1]', 0, 'hunter2');
  await client.lpush('user:1', 'x').then(() => { throw new Error('went well'); }, () => {});
  await client.quit();
})();
