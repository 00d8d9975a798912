import { createConnection } from 'node:net';

/** Where a server listens on this host: a socket file, or a loopback port. */
export type ListenAddress = { readonly socket: string } | { readonly host: string; readonly port: number };

const ANSWER_TIMEOUT_MS = 5_000;
/** Length (3 bytes), sequence (1), then the protocol version or 0xff of an error. */
const GREETING_HEAD_BYTES = 5;
const PROTOCOL_VERSION = 10;
const ERROR_PACKET = 0xff;

/**
 * True where a MySQL server greets a new connection: it accepts clients only when its start is complete.
 * An error packet (too many connections) is an answer, too.
 */
export function answersMysql(address: ListenAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection('socket' in address ? { path: address.socket } : { ...address });
    let head = Buffer.alloc(0);
    const settle = (answers: boolean) => {
      connection.destroy();
      resolve(answers);
    };
    connection.setTimeout(ANSWER_TIMEOUT_MS, () => settle(false));
    connection.on('error', () => settle(false));
    connection.on('close', () => settle(false));
    connection.on('data', (chunk) => {
      head = Buffer.concat([head, chunk]);
      if (head.length < GREETING_HEAD_BYTES) return;
      const kind = head[GREETING_HEAD_BYTES - 1];
      settle(kind === PROTOCOL_VERSION || kind === ERROR_PACKET);
    });
  });
}
