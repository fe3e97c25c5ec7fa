// The routes of README.md on Node's http.
'use strict';

const fs = require('node:fs');
const http = require('node:http');

const port = Number(process.argv[2]);
const log = fs.openSync(process.argv[3], 'a');

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Length': body.length });
  response.end(body);
  return status;
}

const routes = {
  'GET /hello': (response) => answer(response, 200, 'hello\n'),
  'HEAD /hello': (response) => answer(response, 200, 'hello\n'),
  'GET /fail': (response) => answer(response, 500, 'failed\n'),
  'GET /large': (response) => answer(response, 200, 'x'.repeat(1 << 20)),
  'POST /upload': (response) => answer(response, 200, 'taken\n'),
  'GET /chunked': (response) => {
    for (const part of ['one\n', 'two\n', 'three\n']) response.write(part);
    response.end();
    return 200;
  },
  'GET /close': (response) => {
    response.setHeader('Connection', 'close');
    return answer(response, 200, 'closing\n');
  },
  'GET /stall': (response) => {
    response.socket.end();
    return '-';
  },
};

http
  .createServer((request, response) => {
    // The body first: answers before it is read are another story.
    request.resume().on('end', () => {
      const route = routes[`${request.method} ${request.url.split('?')[0]}`];
      const status = route ? route(response) : answer(response, 404, 'missing\n');
      fs.writeSync(log, `${request.method}\t${request.url}\t${status}\n`);
    });
  })
  .listen(port, '127.0.0.1');
