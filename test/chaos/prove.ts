import { join } from 'node:path';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { GtidSet } from '../../src/domain/gtid-set.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { startRestored } from '../integration/restore-rig.ts';
import type { TestMysql } from '../support/mysql.ts';
import { tableChecksums } from '../support/workload.ts';
import type { HandoffWorld } from '../workflow/handoff-world.ts';
import type { ChaosWorld } from './chaos-world.ts';
import { acknowledgedIn } from './held.ts';
import { judgeOnce } from './once.ts';
import type { Invariant } from './scenario.ts';

/** A server that holds exactly what was archived; null where none does, and rows are not compared. */
export interface Truth {
  /** Every GTID that was called archived up to now. */
  readonly acknowledged: GtidSet;
  /** A live server with exactly these transactions, to compare rows with. */
  readonly equals: TestMysql | null;
}

/** What must hold after every scenario, and how many of the acknowledged transactions are lost. */
export interface Proof {
  readonly invariants: readonly Invariant[];
  readonly lostTransactions: number;
}

/** Where a server holds all that was ever archived: what it committed and what any store was told must restore. */
export async function proveEqualTo(world: ChaosWorld, server: TestMysql): Promise<Proof> {
  const committed = GtidSet.parse(await server.gtidExecuted());
  const acknowledged = (await acknowledgedIn(world.stores)).union(committed);
  return proveArchive(world, world.stores, { acknowledged, equals: server });
}

/**
 * Proves what must hold after every scenario: all that was acknowledged restores from each store by
 * itself, row by row; each transaction lies archived once; the stores are whole and equal.
 */
export async function proveArchive(
  world: HandoffWorld,
  stores: readonly ObjectStore[],
  truth: Truth,
): Promise<Proof> {
  const invariants: Invariant[] = [];
  let lost = 0n;
  for (const store of stores) {
    const found = await proveRestore(world, store, truth);
    invariants.push(...found.invariants, await proveOnce(store));
    lost = found.lost > lost ? found.lost : lost;
  }
  invariants.push(await proveVerified(world, stores.length));
  return { invariants, lostTransactions: Number(lost) };
}

async function proveRestore(world: HandoffWorld, store: ObjectStore, { acknowledged, equals }: Truth) {
  const targetDir = join(world.dir, `restored-${store.id}-${Date.now()}`);
  const args = ['--to', 'latest', '--target-dir', targetDir, '--store', store.id, '--direct'];
  const restored = await world.pitrail('restore', ...args);
  const name = `all that was archived restores from ${store.id}`;
  if (restored.code !== 0) {
    const detail = `restore ended with ${restored.code}: ${restored.stderr.slice(-600)}`;
    return { invariants: [{ name, ok: false, detail }], lost: acknowledged.count() };
  }
  const server = await startRestored(targetDir);
  try {
    const executed = GtidSet.parse(await server.gtidExecuted());
    const missing = acknowledged.subtract(executed);
    const invariants: Invariant[] = [
      {
        name,
        ok: missing.isEmpty,
        detail: missing.isEmpty
          ? `${acknowledged.count()} acknowledged transactions are there`
          : `missing: ${missing}`,
      },
    ];
    if (equals !== null) invariants.push(await proveRows(server, equals, store.id));
    return { invariants, lost: missing.count() };
  } finally {
    await server.stop();
  }
}

async function proveRows(restored: TestMysql, truth: TestMysql, store: string): Promise<Invariant> {
  const [found, wanted] = [await tableChecksums(restored), await tableChecksums(truth)];
  const different = Object.keys({ ...found, ...wanted }).filter((table) => found[table] !== wanted[table]);
  const executed = GtidSet.parse(await truth.gtidExecuted());
  const isSame = executed.equals(GtidSet.parse(await restored.gtidExecuted()));
  return {
    name: `what restores from ${store} equals the server, row by row`,
    ok: different.length === 0 && isSame,
    detail:
      different.length === 0
        ? `CHECKSUM TABLE of ${Object.keys(wanted).length} tables and gtid_executed are ${isSame ? 'equal' : 'not equal'}`
        : `different: ${different.join(', ')}`,
  };
}

/** Restores count no transaction twice by themselves: here the logs themselves are counted. */
async function proveOnce(store: ObjectStore): Promise<Invariant> {
  const state = await openCatalog(store).read();
  const { faults, logs, transactions, repeats } = judgeOnce(state.allSegments(), state.handoffs());
  const again = repeats.map(({ binlog, repeated }) => `${repeated} of them again in ${binlog} of an heir`);
  return {
    name: `in ${store.id} each transaction lies once in the logs of one server, and again only in an heir's first log behind a handoff`,
    ok: faults.length === 0 && logs > 0 && transactions > 0n,
    detail:
      faults.length === 0
        ? [`${logs} logs with ${transactions} transactions`, ...again].join(', ')
        : faults.join('; ').slice(0, 600),
  };
}

/** Every pair of stores must have been compared: a store that nobody looked at is not equal. */
async function proveVerified(world: HandoffWorld, stores: number): Promise<Invariant> {
  const { code, stdout } = await world.pitrail('verify', '--deep', '--json');
  const { verdict, comparisons, problems } = JSON.parse(stdout) as VerifyDocument;
  const equal = comparisons.filter((pair) => pair.verdict === 'equal').length;
  const pairs = (stores * (stores - 1)) / 2;
  return {
    name: 'verify --deep proves the stores whole and equal',
    ok: code === 0 && verdict === 'whole' && equal === pairs && comparisons.length === pairs,
    detail:
      code === 0 ? `${verdict}, ${equal} of ${pairs} pairs equal` : JSON.stringify(problems).slice(0, 600),
  };
}

interface VerifyDocument {
  readonly verdict: string;
  readonly comparisons: readonly { readonly verdict: string }[];
  readonly problems: readonly unknown[];
}
