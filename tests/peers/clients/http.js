// Node's fetch: asks for all URLs at once.
'use strict';
Promise.all(process.argv.slice(2).map((url) => fetch(url).then((answer) => answer.text())));
