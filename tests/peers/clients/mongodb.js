// MongoDB's driver for Node. Prints each command as the driver's own monitoring tells of it.
'use strict';
const { MongoClient } = require('mongodb');

(async () => {
  const client = new MongoClient(`mongodb://127.0.0.1:${process.argv[2]}`, { monitorCommands: true, directConnection: true });
  const started = new Map();
  client.on('commandStarted', (event) => {
    const command = event.command;
    const of = event.commandName === 'getMore' ? command.collection : command[event.commandName];
    started.set(event.requestId, typeof of === 'string' ? `${event.databaseName}.${of}` : event.databaseName);
  });
  const tell = (event, status) => console.log(`${event.commandName} ${started.get(event.requestId)} ${status}`);
  client.on('commandSucceeded', (event) => tell(event, event.reply.writeErrors ? event.reply.writeErrors[0].code : 'ok'));
  client.on('commandFailed', (event) => tell(event, event.failure.code));
  const orders = client.db('shop').collection('orders');
  for (let number = 0; number < 20; number++) await orders.insertOne({ _id: number, card: 'hunter2' });
  await orders.insertOne({ _id: 0 }).then(() => { throw new Error('went well'); }, () => {});
  await orders.insertMany([...Array(300).keys()].map((number) => ({ _id: 1000 + number, pad: 'x'.repeat(50) })));
  await orders.find({}, { batchSize: 50 }).toArray();
  await Promise.all([...Array(20).keys()].map((number) => orders.findOne({ _id: number })));
  await orders.updateMany({ _id: { $lt: 5 } }, { $set: { card: 'other' } });
  await orders.deleteOne({ _id: 4 });
  await orders.countDocuments();
  await client.db('shop').command({ noSuchCommand: 1 }).then(() => { throw new Error('went well'); }, () => {});
  await orders.drop();
  await client.close();
})();
