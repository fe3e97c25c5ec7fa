/** What differs between protocols in how they are told: names of things, statuses, requests. */

/** `refused`: the client's own doing, which is not an error of the server. */
export type StatusClass = 'good' | 'redirect' | 'refused' | 'failed' | 'other';

const WEB = ['http', 'http2'];
const SQL = ['postgresql', 'mysql'];

const GRPC_CODES = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS',
  'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED',
  'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];
/** The codes with which a server says that it failed; the others blame the call. */
const GRPC_FAILED = ['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'];

/** Stand in for the status where no response came. */
const FAILED_OUTCOMES = ['no_response', 'reset', 'refused'];
const OTHER_OUTCOMES = ['one_way', 'partial'];
/** What a mix calls the statuses beyond its limit; a missing one has no name. */
const REST = ['other', ''];

export function statusClass(protocol: string, code: string): StatusClass {
  if (FAILED_OUTCOMES.includes(code)) return 'failed';
  if (OTHER_OUTCOMES.includes(code) || REST.includes(code)) return 'other';
  if (WEB.includes(protocol)) return webClass(code);
  if (protocol === 'grpc') {
    const name = GRPC_CODES[Number(code)];
    if (name === undefined) return 'other';
    return name === 'OK' ? 'good' : GRPC_FAILED.includes(name) ? 'failed' : 'refused';
  }
  if (protocol === 'dns') {
    // That a name does not exist is an answer, and with search domains a frequent one.
    return code === 'NOERROR' ? 'good' : code === 'NXDOMAIN' ? 'other' : 'failed';
  }
  // Databases, caches and brokers say that it went well, or name an error.
  return /^(ok|none|0)$/i.test(code) ? 'good' : 'failed';
}

function webClass(code: string): StatusClass {
  if (/^[12](xx|\d\d)$/.test(code)) return 'good';
  if (/^3(xx|\d\d)$/.test(code)) return 'redirect';
  if (/^4(xx|\d\d)$/.test(code)) return 'refused';
  return /^5(xx|\d\d)$/.test(code) ? 'failed' : 'other';
}

/** A status as a reader knows it: gRPC's numbers with their names, `no_response` as words. */
export function statusText(protocol: string, code: string): string {
  if (code === '') return 'none';
  if (FAILED_OUTCOMES.includes(code) || OTHER_OUTCOMES.includes(code)) return code.replace('_', ' ');
  const name = protocol === 'grpc' ? GRPC_CODES[Number(code)] : undefined;
  return name === undefined ? code : `${code} ${name}`;
}

/** What the requests of a protocol are grouped by: `Route`, `Statement`… */
export function routeWord(protocol: string): string {
  if (WEB.includes(protocol)) return 'Route';
  if (SQL.includes(protocol)) return 'Statement';
  if (protocol === 'redis' || protocol === 'mongodb') return 'Command';
  if (protocol === 'grpc') return 'Method';
  return protocol === 'dns' ? 'Name' : 'Operation';
}

/** A request in two parts, the first of which stands out: `GET` `/users/{id}`, `SELECT` `id FROM users`. */
export function operation(protocol: string, method: string, target: string): { verb: string; rest: string } {
  if (protocol === 'grpc') return { verb: '', rest: [target, method].filter(Boolean).join('/') };
  // A statement begins with its own command.
  const repeated = SQL.includes(protocol) && target.toUpperCase().startsWith(`${method.toUpperCase()} `);
  return { verb: method, rest: repeated ? target.slice(method.length + 1) : target };
}
