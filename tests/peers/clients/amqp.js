// amqplib: publishes with and without confirmation, consumes and acknowledges. Prints what it counted.
'use strict';
const amqp = require('amqplib');

(async () => {
  const connection = await amqp.connect(`amqp://127.0.0.1:${process.argv[2]}`);
  const channel = await connection.createChannel();
  await channel.assertQueue('js');
  // The driver puts into one call what is sent in one turn; of a long call only the ends are seen.
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (let number = 0; number < 100; number++) {
    channel.sendToQueue('js', Buffer.alloc(number * 3));
    await turn();
  }
  const confirming = await connection.createConfirmChannel();
  for (let number = 0; number < 50; number++) {
    confirming.sendToQueue('js', Buffer.from('hunter2'));
    await turn();
  }
  await confirming.waitForConfirms();
  await channel.prefetch(7);
  let received = 0;
  await new Promise((resolve) => channel.consume('js', (message) => {
    channel.ack(message);
    if (++received === 150) resolve();
  }));
  await channel.close();
  await connection.close();
  console.log('basic.publish 150\nbasic.deliver 150\nqueue.declare 1');
})();
