// The steps of README.md with Node's fetch.
'use strict';

const base = process.argv[2];

async function step(method, path, status, body) {
  const response = await fetch(`${base}${path}?token=abc&n=1`, { method, body });
  await response.arrayBuffer();
  if (response.status !== status) {
    throw new Error(`${method} ${path}: ${response.status} instead of ${status}`);
  }
}

async function main() {
  await step('GET', '/hello', 200);
  await step('HEAD', '/hello', 200);
  await step('GET', '/missing', 404);
  await step('GET', '/fail', 500);
  await step('GET', '/chunked', 200);
  await step('GET', '/large', 200);
  await step('POST', '/upload', 200, 'u'.repeat(1 << 20));
  await step('GET', '/close', 200);
  const stalled = await step('GET', '/stall', 0).catch((error) => error);
  if (!(stalled instanceof TypeError)) throw new Error('/stall was answered');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
