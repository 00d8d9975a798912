import { createConnection, createServer, type Socket } from 'node:net';

/** Which way bytes go: what the client sends, or what the server answers. */
export type Direction = 'to-server' | 'to-client';

/** What the proxy does with bytes. A closed union, so a test states one fault at a time. */
export type Weather =
  | { readonly kind: 'clear' }
  /** Nothing passes, connections stay open: a partition. */
  | { readonly kind: 'hold' }
  /** Every chunk waits. */
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** A long and thin line: every chunk waits, and then passes at so many bytes a second. */
  | { readonly kind: 'thin'; readonly delayMs: number; readonly bytesPerSecond: number }
  /** New connections are refused with a reset. */
  | { readonly kind: 'refuse' };

/** Where a server listens. */
interface Target {
  readonly host: string;
  readonly port: number;
}

/** A proxy between a client and a real server, which a test can make fail. */
export interface TcpProxy {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Connections open now. */
  connections(): number;
  /** Connections accepted so far, also those that have ended. */
  accepted(): number;
  /** Bytes passed so far, over all connections. */
  passed(direction: Direction): number;
  setWeather(weather: Weather): void;
  /** Where new connections go from now on. */
  retarget(target: Target): void;
  /** Ends all connections in order (FIN). */
  cut(): void;
  /** Ends all connections with a reset (RST). */
  reset(): void;
  /** Resets a connection once so many more bytes have passed in this direction. */
  resetAfter(direction: Direction, bytes: number): void;
  /** Flips a bit in the byte that comes after so many more bytes in this direction; once. */
  flipByteAfter(direction: Direction, bytes: number): void;
  stop(): Promise<void>;
}

interface Trap {
  readonly direction: Direction;
  /** Counted by `passed`. */
  readonly at: number;
  readonly act: 'reset' | 'flip';
}

interface State {
  target: Target;
  weather: Weather;
  changed: PromiseWithResolvers<void>;
  accepted: number;
  readonly passed: Record<Direction, number>;
  readonly traps: Trap[];
  readonly pairs: Set<Pair>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Listens on a free loopback port and passes everything on to a server. */
export async function tcpProxy(target: Target): Promise<TcpProxy> {
  const state: State = {
    target,
    weather: { kind: 'clear' },
    changed: Promise.withResolvers(),
    accepted: 0,
    passed: { 'to-server': 0, 'to-client': 0 },
    traps: [],
    pairs: new Set(),
  };
  const listener = createServer({ allowHalfOpen: true }, (client) => accept(client, state));
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  // A test that forgets the proxy must still end.
  listener.unref();
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy got no port');
  const setWeather = (weather: Weather) => {
    state.weather = weather;
    state.changed.resolve();
    state.changed = Promise.withResolvers();
  };
  return {
    host: '127.0.0.1',
    port: address.port,
    connections: () => state.pairs.size,
    accepted: () => state.accepted,
    passed: (direction) => state.passed[direction],
    setWeather,
    retarget(next) {
      state.target = next;
    },
    cut: () => endAll(state, (socket) => socket.destroySoon()),
    reset: () => endAll(state, resetSocket),
    resetAfter: (direction, bytes) => void state.traps.push(trap(state, direction, bytes, 'reset')),
    flipByteAfter: (direction, bytes) => void state.traps.push(trap(state, direction, bytes, 'flip')),
    async stop() {
      const closed = new Promise((resolve) => listener.close(resolve));
      endAll(state, (socket) => socket.destroy());
      setWeather({ kind: 'clear' });
      await closed;
    },
  };
}

function trap(state: State, direction: Direction, bytes: number, act: Trap['act']): Trap {
  return { direction, at: state.passed[direction] + bytes, act };
}

function endAll(state: State, end: (socket: Socket) => void): void {
  for (const { client, server } of state.pairs) {
    end(client);
    end(server);
  }
  state.pairs.clear();
}

/** Node loses a socket that is reset while its end is being sent, and can then never exit. */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function accept(client: Socket, state: State): void {
  if (state.weather.kind === 'refuse') {
    resetSocket(client);
    return;
  }
  state.accepted += 1;
  const server = createConnection({ ...state.target, allowHalfOpen: true });
  const pair: Pair = { client, server };
  state.pairs.add(pair);
  // What one side suffers, the other one sees.
  client.on('error', () => resetSocket(server));
  server.on('error', () => resetSocket(client));
  const forget = () => client.destroyed && server.destroyed && state.pairs.delete(pair);
  client.on('close', forget);
  server.on('close', forget);
  void pump(pair, 'to-server', state);
  void pump(pair, 'to-client', state);
}

async function pump(pair: Pair, direction: Direction, state: State): Promise<void> {
  const [from, to] = direction === 'to-server' ? [pair.client, pair.server] : [pair.server, pair.client];
  try {
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      await pass(chunk as Buffer, to, direction, pair, state);
      // Who is gone takes nothing more, and the other side must see that.
      if (to.destroyed) return void from.destroy();
    }
    to.end();
  } catch {
    // The connection broke; the error listeners told the other side.
    to.destroy();
  }
}

async function pass(
  chunk: Buffer,
  to: Socket,
  direction: Direction,
  pair: Pair,
  state: State,
): Promise<void> {
  await wait(chunk.length, state);
  const start = state.passed[direction];
  for (const sprung of takeTraps(state, direction, start + chunk.length)) {
    const index = sprung.at - start;
    if (sprung.act === 'flip') chunk[index] = (chunk[index] ?? 0) ^ 0x01;
    else {
      to.write(chunk.subarray(0, index), () => {
        resetSocket(pair.client);
        resetSocket(pair.server);
      });
      state.passed[direction] += index;
      return;
    }
  }
  state.passed[direction] += chunk.length;
  if (!to.destroyed && !to.write(chunk)) {
    await new Promise<void>((resolve) => {
      const goOn = (): void => {
        to.off('drain', goOn);
        to.off('close', goOn);
        resolve();
      };
      to.on('drain', goOn);
      to.on('close', goOn);
    });
  }
}

/** Traps that lie before `end`, in their order; each springs once. */
function takeTraps(state: State, direction: Direction, end: number): Trap[] {
  const sprung = state.traps.filter((set) => set.direction === direction && set.at < end);
  for (const set of sprung) state.traps.splice(state.traps.indexOf(set), 1);
  return sprung.toSorted((a, b) => a.at - b.at);
}

async function wait(bytes: number, state: State): Promise<void> {
  while (state.weather.kind === 'hold') await state.changed.promise;
  const { weather } = state;
  if (weather.kind === 'delay') await pause(weather.ms);
  if (weather.kind === 'throttle') await pause((bytes / weather.bytesPerSecond) * 1000);
  if (weather.kind === 'thin') await pause(weather.delayMs + (bytes / weather.bytesPerSecond) * 1000);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
