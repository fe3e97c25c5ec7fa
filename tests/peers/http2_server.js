// Some routes on Node's http2 without TLS. Logs as README.md says.
'use strict';

const fs = require('node:fs');
const http2 = require('node:http2');

const port = Number(process.argv[2]);
const log = fs.openSync(process.argv[3], 'a');

function answer(stream, status, body) {
  stream.respond({ ':status': status, 'x-number': String(stream.id) });
  stream.end(body);
  return status;
}

const routes = {
  'GET /hello': (stream) => answer(stream, 200, 'hello\n'),
  'HEAD /hello': (stream) => {
    stream.respond({ ':status': 200 }, { endStream: true });
    return 200;
  },
  'GET /fail': (stream) => answer(stream, 503, 'failed\n'),
  'PUT /upload': (stream) => answer(stream, 201, 'taken\n'),
  'GET /trailers': (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ checksum: '1' }));
    stream.end('body\n');
    return 200;
  },
  'GET /hints': (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
    return answer(stream, 200, 'hinted\n');
  },
  'GET /refuse': (stream) => {
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    return '-';
  },
  'GET /stall': () => '-',
};

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  // The body first: answers before it is read are another story.
  stream.resume().on('end', () => {
    const [method, target] = [headers[':method'], headers[':path']];
    const route = routes[`${method} ${target.split('?')[0]}`];
    const status = route ? route(stream) : answer(stream, 404, 'missing\n');
    fs.writeSync(log, `${method}\t${target}\t${status}\n`);
  });
});
server.listen(port, '127.0.0.1');
