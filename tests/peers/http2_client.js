// Asks an http2_server for everything, many streams at once on one connection.
// With a second argument it says hello first, waits until that file is there, and goes on.
'use strict';

const fs = require('node:fs');
const http2 = require('node:http2');

const [url, go] = process.argv.slice(2);
const session = http2.connect(url);

function ask(method, path, { body, cancel } = {}) {
  return new Promise((done) => {
    const stream = session.request(
      { ':method': method, ':path': path },
      { endStream: body === undefined },
    );
    stream.on('error', () => {});
    stream.on('close', done);
    stream.resume();
    if (body !== undefined) stream.end(body);
    if (cancel) setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), 50);
  });
}

async function main() {
  if (go) {
    await ask('GET', '/hello?before=1');
    fs.writeFileSync(`${go}.ready`, '');
    while (!fs.existsSync(go)) await new Promise((done) => setTimeout(done, 20));
  }
  for (let round = 0; round < 20; round++) {
    await Promise.all([
      ask('GET', `/hello?secret=${round}`),
      ask('HEAD', '/hello'),
      ask('GET', `/missing/${round}`),
      ask('GET', '/fail'),
      ask('PUT', '/upload', { body: 'x'.repeat(40 * round) }),
      ask('GET', '/trailers'),
      ask('GET', '/hints'),
      ask('GET', '/refuse'),
      ask('GET', '/stall', { cancel: true }),
      ...Array.from({ length: 6 }, (_, number) => ask('GET', `/item/${number}`)),
    ]);
  }
  session.close();
}

main();
