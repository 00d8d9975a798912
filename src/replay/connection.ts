import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { AppError, assertNever } from '../domain/errors.ts';
import { PacketSocket } from './packet-socket.ts';
import { PacketStream } from './packet-stream.ts';
import { type Command, type DumpRequest, parseCommand } from './protocol/commands.ts';
import {
  AUTH_PLUGIN,
  authSwitchPayload,
  fastAuthSuccessPayload,
  greetingPayload,
  isRightPassword,
  parseHandshakeResponse,
  toNonce,
} from './protocol/handshake.ts';
import { errorPayload, okPayload, singleValuePayloads } from './protocol/packets.ts';
import {
  answerQuery,
  INITIAL_SETTINGS,
  type SessionSettings,
  type SourceIdentity,
} from './protocol/queries.ts';

/** A client that does not log in within this time is let go. */
const LOGIN_TIMEOUT_MS = 10_000;

/** Something a connection did that a log should have. */
export type SourceNotice =
  | { readonly kind: 'login-refused'; readonly user: string; readonly reason: string }
  | { readonly kind: 'logged-in'; readonly user: string }
  | { readonly kind: 'refused'; readonly what: string }
  | {
      readonly kind: 'dump-started';
      readonly has: string;
      readonly files: number;
      readonly transactions: string;
    }
  | { readonly kind: 'everything-sent' }
  | { readonly kind: 'dump-failed'; readonly error: AppError }
  | { readonly kind: 'connection-failed'; readonly message: string };

export interface ConnectionOptions {
  readonly id: number;
  readonly identity: SourceIdentity;
  readonly user: string;
  readonly password: string;
  readonly onNotice: (notice: SourceNotice) => void;
  /** Serves the stream until the replica leaves. */
  readonly dump: (
    request: DumpRequest,
    settings: SessionSettings,
    packets: PacketStream,
    signal: AbortSignal,
  ) => Promise<void>;
}

/** Serves one client from greeting to end; resolves when its socket is closed. Never throws. */
export async function serveConnection(socket: Socket, options: ConnectionOptions): Promise<void> {
  const connection = new Connection(socket, options);
  try {
    await connection.run();
  } catch (error) {
    options.onNotice({
      kind: 'connection-failed',
      message: error instanceof Error ? error.message : String(error),
    });
  } finally {
    socket.destroy();
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #packets: PacketSocket;
  #settings: SessionSettings = INITIAL_SETTINGS;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#packets = new PacketSocket(socket);
  }

  async run(): Promise<void> {
    this.#socket.setTimeout(LOGIN_TIMEOUT_MS, () => this.#socket.destroy());
    if (!(await this.#logIn())) return;
    this.#socket.setTimeout(0);
    for (;;) {
      const packet = await this.#packets.next();
      if (packet === null || !(await this.#serve(parseCommand(packet.payload), packet.sequence + 1))) return;
    }
  }

  async #logIn(): Promise<boolean> {
    const nonce = toNonce(randomBytes(20));
    this.#packets.send([greetingPayload(this.#options.id, nonce)], 0);
    const packet = await this.#packets.next();
    if (packet === null) return false;
    const response = parseHandshakeResponse(packet.payload);
    if (response.kind === 'unsupported') return this.#refuseLogin('', response.reason, packet.sequence + 1);
    if (response.authPlugin === AUTH_PLUGIN) {
      return this.#checkPassword(response.user, response.scramble, nonce, packet.sequence + 1);
    }
    this.#packets.send([authSwitchPayload(nonce)], packet.sequence + 1);
    const again = await this.#packets.next();
    return again !== null && this.#checkPassword(response.user, again.payload, nonce, again.sequence + 1);
  }

  #checkPassword(user: string, scramble: Buffer, nonce: Buffer, sequence: number): boolean {
    const { password } = this.#options;
    const right = isRightPassword(scramble, password, nonce);
    if (!right || user !== this.#options.user)
      return this.#refuseLogin(user, 'wrong user or password', sequence);
    this.#packets.send([fastAuthSuccessPayload(), okPayload()], sequence);
    this.#options.onNotice({ kind: 'logged-in', user });
    return true;
  }

  #refuseLogin(user: string, reason: string, sequence: number): false {
    const message = `Access denied for user '${user}' to this archive source (${reason})`;
    this.#packets.send([errorPayload(1045, '28000', message)], sequence);
    this.#socket.end();
    this.#options.onNotice({ kind: 'login-refused', user, reason });
    return false;
  }

  /** Answers one command; false ends the connection. */
  async #serve(command: Command, sequence: number): Promise<boolean> {
    switch (command.kind) {
      case 'quit':
        return false;
      case 'ping':
      case 'register-replica':
        this.#packets.send([okPayload()], sequence);
        return true;
      case 'query':
        this.#answer(command.sql, sequence);
        return true;
      case 'dump-gtid':
        await this.#dump(command, sequence);
        return false;
      case 'dump-position':
        return this.#refuse(
          'a dump by file and position',
          errorPayload(1236, 'HY000', 'This archive source serves by GTID only: set SOURCE_AUTO_POSITION=1'),
          sequence,
        );
      case 'malformed':
        return this.#refuse(
          command.reason,
          errorPayload(1835, 'HY000', `Malformed packet: ${command.reason}`),
          sequence,
        );
      case 'unknown':
        return this.#refuse(
          `command ${command.code}`,
          errorPayload(1047, '08S01', 'Unknown command'),
          sequence,
        );
      default:
        return assertNever(command);
    }
  }

  #refuse(what: string, payload: Buffer, sequence: number): true {
    this.#packets.send([payload], sequence);
    this.#options.onNotice({ kind: 'refused', what });
    return true;
  }

  #answer(sql: string, sequence: number): void {
    const answer = answerQuery(sql, this.#settings, this.#options.identity, Math.floor(Date.now() / 1000));
    switch (answer.kind) {
      case 'value':
        this.#packets.send(singleValuePayloads(answer.column, answer.value), sequence);
        return;
      case 'set':
        this.#settings = answer.settings;
        this.#packets.send([okPayload()], sequence);
        return;
      case 'unknown-variable': {
        const message = `Unknown system variable '${answer.name}' of an archive source`;
        this.#refuse(sql, errorPayload(1193, 'HY000', message), sequence);
        return;
      }
      case 'unknown-statement': {
        const message = 'This archive source answers only the statements of a connecting replica';
        this.#refuse(sql, errorPayload(1295, 'HY000', message), sequence);
        return;
      }
      default:
        assertNever(answer);
    }
  }

  /** A damaged archive is told to the replica, which stops; anything else cuts the line, and it comes again. */
  async #dump(request: DumpRequest, sequence: number): Promise<void> {
    const packets = new PacketStream(this.#socket);
    packets.startAt(sequence);
    try {
      await this.#options.dump(request, this.#settings, packets, this.#packets.gone);
    } catch (error) {
      if (!packets.atBoundary || !(error instanceof AppError) || error.kind === 'unavailable') return;
      packets.payload(errorPayload(1236, 'HY000', error.message.slice(0, 400)));
    }
    if (this.#socket.destroyed) return;
    packets.flush();
    await this.#packets.end();
  }
}
