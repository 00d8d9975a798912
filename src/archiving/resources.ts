import { connectSource } from '../config/connect-source.ts';
import { pickCluster, pickSource } from '../config/pick.ts';
import type { ClusterConfig, PitrailConfig, SourceConfig } from '../config/types.ts';
import type { MysqlSession } from '../mysql/session.ts';
import { guardByRules } from '../storage/guard/guarded-store.ts';
import { RateGate } from '../storage/guard/rate-gate.ts';
import { ByteBudget } from './byte-budget.ts';
import { hostAccess } from './host-access.ts';
import type { LogAccess } from './log-access.ts';
import { RemoteAccess } from './remote/access.ts';
import { remoteReader } from './remote/reader.ts';
import { openRepositories, type Repositories } from './repositories.ts';
import { PeekCache } from './source-logs.ts';

/** A server as the configuration names it, without stores and key: enough to stage its logs. */
export interface ServerContext {
  readonly cluster: ClusterConfig;
  readonly source: SourceConfig;
  readonly access: LogAccess;
  readonly cache: PeekCache;
  /** Connects; the caller closes the session. @throws unavailable, refused, config */
  connect(): Promise<MysqlSession>;
  /** Connects, hands the session over, and closes it. @throws unavailable, refused, config */
  withSession<T>(use: (session: MysqlSession) => Promise<T>): Promise<T>;
}

/** One source with everything that archiving it needs. */
export interface ArchiveSourceContext extends ServerContext {
  readonly repositories: Repositories;
  /** Shared by all sources of the process: what streams a log takes its length from it. */
  readonly budget: ByteBudget;
  /** As `budget`, for a store that nobody waits for. */
  followersBudget(store: string): ByteBudget;
  /** What goes from this source to all stores passes it. */
  readonly gate: RateGate;
}

/** Logs of this many bytes in all are streamed at once; a larger one goes alone. Bounds memory, not speed. */
const STREAMED_BYTES = 48 * 1024 * 1024;
/** What nobody waits for goes one by one, beside. */
const FOLLOWERS_BYTES = 1;

/** What a process keeps open while it archives: stores and catalogs by cluster, what was read of its logs by source. */
export class ArchiveResources {
  readonly config: PitrailConfig;
  readonly #repositories = new Map<string, Promise<Repositories>>();
  readonly #budget = new ByteBudget(STREAMED_BYTES);
  readonly #followersBudgets = new Map<string, ByteBudget>();
  readonly #logs = new Map<string, Pick<ArchiveSourceContext, 'access' | 'cache'>>();
  readonly #gates = new Map<string, RateGate>();

  constructor(config: PitrailConfig) {
    this.config = config;
  }

  /** A server that the configuration names; nothing is opened. @throws usage, config */
  server(clusterName: string, sourceId: string): ServerContext {
    const cluster = pickCluster(this.config, clusterName);
    const source = pickSource(this.config, cluster, sourceId);
    return {
      cluster,
      source,
      ...this.#logsOf(`${clusterName}/${sourceId}`, cluster, source),
      connect: () => connectSource(source),
      withSession: (use) => withSession(source, use),
    };
  }

  /** Opens a source that the configuration names. @throws usage, config, refused */
  async source(clusterName: string, sourceId: string): Promise<ArchiveSourceContext> {
    const server = this.server(clusterName, sourceId);
    const gate = this.#gateOf(`${clusterName}/${sourceId}`, server.source);
    const followersBudget = (store: string) => this.#followersBudgetOf(`${clusterName}/${store}`);
    const repositories = await this.repositories(clusterName);
    return { ...server, repositories, budget: this.#budget, followersBudget, gate };
  }

  /** The stores of a cluster, opened at the first call; one that failed to open is tried again. */
  repositories(clusterName: string): Promise<Repositories> {
    const known = this.#repositories.get(clusterName);
    if (known !== undefined) return known;
    const opening = openRepositories(pickCluster(this.config, clusterName), guardByRules);
    this.#repositories.set(clusterName, opening);
    opening.catch(() => this.#repositories.delete(clusterName));
    return opening;
  }

  /** Closes every store. */
  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#repositories.values());
    for (const result of opened) if (result.status === 'fulfilled') await result.value.close();
  }

  #gateOf(name: string, { limitBytesPerSecond }: SourceConfig): RateGate {
    const known = this.#gates.get(name) ?? new RateGate(limitBytesPerSecond);
    this.#gates.set(name, known);
    return known;
  }

  #followersBudgetOf(store: string): ByteBudget {
    const known = this.#followersBudgets.get(store) ?? new ByteBudget(FOLLOWERS_BYTES);
    this.#followersBudgets.set(store, known);
    return known;
  }

  #logsOf(
    name: string,
    { archive }: ClusterConfig,
    source: SourceConfig,
  ): Pick<ArchiveSourceContext, 'access' | 'cache'> {
    const known = this.#logs.get(name);
    if (known !== undefined) return known;
    const cache = new PeekCache();
    const opened = { cache, access: openAccess(source, cache, archive.stagingMaxBytes) };
    this.#logs.set(name, opened);
    return opened;
  }
}

function openAccess(source: SourceConfig, cache: PeekCache, stagingMaxBytes: number): LogAccess {
  return source.mode === 'host'
    ? hostAccess(source, cache, stagingMaxBytes)
    : new RemoteAccess(source, remoteReader(source), stagingMaxBytes);
}

async function withSession<T>(source: SourceConfig, use: (session: MysqlSession) => Promise<T>): Promise<T> {
  const session = await connectSource(source);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}
