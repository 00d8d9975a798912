import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { type Backlog, judgeBacklog } from '../../../src/cli/checks/backlog.ts';
import { describeRoles, judgeHistories } from '../../../src/cli/checks/cluster-sources.ts';
import { judgeScope, judgeSettings } from '../../../src/cli/checks/server-settings.ts';
import type { ClusterFacts, ReadableStore, WorkflowAnswer } from '../../../src/cli/status/facts.ts';
import { judgeCluster } from '../../../src/cli/status/judge.ts';
import { describeReport, reportOf } from '../../../src/cli/status/report.ts';
import { AppError } from '../../../src/domain/errors.ts';
import { GtidSet } from '../../../src/domain/gtid-set.ts';
import { parseServerUuid } from '../../../src/domain/identity.ts';
import { storesDisagree } from '../../../src/domain/union/conflict.ts';
import type { BinlogScope } from '../../../src/mysql/binlog-scope.ts';
import type { ServerFacts } from '../../../src/mysql/facts.ts';
import type { StoreRecord } from '../../../workflows/contracts/stores.ts';

const UUID = parseServerUuid('3e11fa47-71ca-11e1-9e33-c80aa9429562');
const GOOD: ServerFacts = {
  serverUuid: UUID,
  serverId: 1,
  version: '9.7.4',
  gtidMode: 'ON',
  enforceGtidConsistency: 'ON',
  logBin: true,
  binlogFormat: 'ROW',
  binlogRowImage: 'FULL',
  binlogChecksum: 'CRC32',
  binlogEncryption: false,
  binlogExpireLogsSeconds: 2_592_000,
  binlogAutoPurge: 'ON',
  maxBinlogSizeBytes: 1024 ** 3,
  syncBinlog: 1,
  flushLogAtTrxCommit: 1,
  lowerCaseTableNames: 0,
  characterSetServer: 'utf8mb4',
  collationServer: 'utf8mb4_0900_ai_ci',
  gtidExecuted: '',
  gtidPurged: '',
  dataDir: '/var/lib/mysql/',
  logBinBasename: '/var/lib/mysql/binlog',
  superReadOnly: false,
};

test('good settings have nothing to say against them', () => {
  assert(judgeSettings('s', GOOD, 'host').every(({ status }) => status === 'ok'));
});

const FAILURES: readonly (readonly [Partial<ServerFacts>, string])[] = [
  [{ logBin: false }, 'LogBinOff'],
  [{ gtidMode: 'OFF' }, 'GtidModeOff'],
  [{ gtidMode: 'ON_PERMISSIVE' }, 'GtidModeOff'],
  [{ enforceGtidConsistency: 'WARN' }, 'GtidConsistencyOff'],
  [{ binlogEncryption: true }, 'BinlogEncrypted'],
];

test('each setting that prevents archiving fails by its own name, with what to do', () => {
  for (const [change, code] of FAILURES) {
    const bad = judgeSettings('s', { ...GOOD, ...change }, 'host').filter(
      ({ status }) => status === 'failed',
    );
    assert.equal(bad.length, 1);
    assert(bad[0]?.status === 'failed' && bad[0].code === code && bad[0].hint !== '', JSON.stringify(bad));
  }
});

test('check says who of a cluster is archived, and who stands by', () => {
  const [one, two] = [
    { id: 'shop-1', role: 'archived' },
    { id: 'shop-2', role: 'archived' },
  ] as const;
  const three = { id: 'shop-3', role: 'fallback' } as const;
  assert.equal(
    describeRoles([one, three]),
    'shop-1 is archived first; shop-3 stands by, archived once a handoff names it',
  );
  assert.match(describeRoles([one, two, three]), /^shop-1 and shop-2 are archived side by side, .*; shop-3 /);
});

test('a server that shares no transaction with its cluster fails by name, one without transactions does not', () => {
  const [ours, theirs] = ['11111111', '22222222'].map((start) => `${start}-1111-1111-1111-111111111111`);
  const histories = [
    { id: 'away', gtidExecuted: null },
    { id: 'shop-1', gtidExecuted: `${ours}:1-9` },
    { id: 'shop-2', gtidExecuted: `${ours}:1-5,${theirs}:1` },
    { id: 'new', gtidExecuted: '' },
  ];
  assert.deepEqual(judgeHistories('s', histories), []);
  const [failure, ...more] = judgeHistories('s', [
    ...histories,
    { id: 'odd', gtidExecuted: `${theirs}:1-7` },
  ]);
  assert.ok(failure?.status === 'failed' && more.length === 0);
  assert.deepEqual(
    [failure.code, failure.message.slice(0, 39)],
    ['NotOfCluster', 'odd shares no transaction with shop-1: '],
  );
});

test('each setting that weakens it is one warning', () => {
  const changes: readonly Partial<ServerFacts>[] = [
    { binlogFormat: 'MIXED' },
    { binlogRowImage: 'MINIMAL' },
    { binlogChecksum: 'NONE' },
    { syncBinlog: 0 },
    { flushLogAtTrxCommit: 2 },
  ];
  for (const change of changes) {
    const found = judgeSettings('s', { ...GOOD, ...change }, 'host').filter(({ status }) => status !== 'ok');
    assert.deepEqual(
      found.map(({ status }) => status),
      ['warning'],
      JSON.stringify(change),
    );
  }
});

const WHOLE: BinlogScope = {
  role: 'source',
  logReplicaUpdates: true,
  preserveCommitOrder: true,
  onBinlogError: 'ABORT_SERVER',
  purgesByAge: true,
  onlyDatabases: '',
  ignoredDatabases: '',
};

/** What is said against a server: `failed CODE` or `warning`. */
function saidAgainst(scope: Partial<BinlogScope>, facts: Partial<ServerFacts> = {}): string[] {
  return judgeScope('s', { ...GOOD, ...facts }, { ...WHOLE, ...scope }).flatMap((finding) =>
    finding.status === 'ok' ? [] : [finding.status === 'failed' ? `failed ${finding.code}` : 'warning'],
  );
}

test('a server that leaves transactions out of its binlogs, or might, is not called whole', () => {
  assert.deepEqual(saidAgainst({}), []);
  assert.deepEqual(saidAgainst({ logReplicaUpdates: false }), [], 'only a replica has what to log');
  assert.deepEqual(saidAgainst({ role: 'replica' }), []);
  assert.deepEqual(saidAgainst({ role: 'replica', logReplicaUpdates: false }), [
    'failed ReplicaUpdatesNotLogged',
  ]);
  assert.deepEqual(saidAgainst({ role: 'replica', preserveCommitOrder: false }), ['warning']);
  assert.deepEqual(saidAgainst({ onlyDatabases: 'shop' }), ['failed BinlogFiltered']);
  assert.deepEqual(saidAgainst({ ignoredDatabases: 'logs' }), ['failed BinlogFiltered']);
  assert.deepEqual(saidAgainst({ onBinlogError: 'IGNORE_ERROR' }), ['warning']);
  assert.deepEqual(saidAgainst({}, { binlogExpireLogsSeconds: 3600 }), ['warning']);
  assert.deepEqual(saidAgainst({ purgesByAge: false }, { binlogExpireLogsSeconds: 3600 }), []);
});

test('a backlog that the server may purge soon fails, and says how long it still has', () => {
  const hour = 3_600_000;
  const judged = (change: Partial<Backlog>, ageHours: number) => {
    const oldest = { binlog: 'binlog.000007', closedAtMs: 100 * hour - ageHours * hour };
    return judgeBacklog('s', { logs: 2, oldest, retentionSeconds: 24 * 3600, ...change }, 100 * hour);
  };
  assert.equal(judged({}, 1).status, 'ok');
  assert.equal(judged({}, 13).status, 'warning');
  const late = judged({}, 22);
  assert(late.status === 'failed' && late.code === 'BacklogExpires' && late.kind === 'unavailable');
  assert.match(late.message, /2 closed binlogs wait.*binlog\.000007, may be purged in 2 h /);
  assert.match(judged({}, 30).message, /at any moment/);
  assert.equal(judged({ retentionSeconds: 0 }, 1000).status, 'ok');
  assert.equal(judged({ oldest: null }, 1000).status, 'ok', 'no purge reaches what is staged');
  assert.equal(judged({ logs: 0, oldest: null }, 1000).status, 'ok');
});

const STORE: ReadableStore = {
  status: 'read',
  id: 'main',
  location: '/srv',
  repositoryId: 'r',
  head: { sequence: 3, sha256: 'x' },
  epoch: 0,
  segments: 1,
  backups: 1,
  newestBackup: { backupId: 'b1', finishedAt: '2026-11-20T10:00:00.000000Z' },
  storedBytes: 10,
  archived: GtidSet.parse(`${UUID}:1-10`),
  binlogs: new Map([[UUID, new Set(['binlog.000001'])]]),
  lines: [
    {
      serverUuid: UUID,
      timeline: 1,
      covered: GtidSet.parse(`${UUID}:1-10`),
      lastBinlog: 'binlog.000001',
      lastCommit: '2026-11-20T10:00:00.000000Z',
    },
  ],
  windows: [
    {
      kind: 'restorable',
      timeline: 1,
      backupId: 'b',
      backupFinishedAt: '2026-11-20T09:00:00.000000Z',
      fromTarget: null,
      toTarget: null,
      toTime: '2026-11-20T10:00:00.000000Z',
      toGtids: '',
      transactions: 10,
      endsAt: 'end-of-archive',
    },
  ],
  holes: [],
  newestTimeline: 1,
  deadLetters: [],
  damagedPacks: [],
};

const RECORD: StoreRecord = {
  store: 's3',
  policy: 'required',
  circuit: { kind: 'closed', failuresInRow: 0 },
  coveredGtids: '',
  givenUpGtids: '',
  epoch: 1,
  backlog: { logs: 0, bytes: 0 },
  through: null,
  failure: null,
  outOfReach: null,
  restUntilMs: 0,
  nextFillMs: 0,
};

const RUNNING: Extract<WorkflowAnswer, { status: 'running' }> = {
  status: 'running',
  workflowId: 'archive/shop/shop-1',
  archive: {
    cluster: 'shop',
    source: 'shop-1',
    mode: 'running',
    hold: { kind: 'held', epoch: 1 },
    unasked: [],
    phase: 'waiting',
    archivedThrough: null,
    deadLetters: [],
    givenUp: [],
    decisions: [],
    rotationFailure: null,
    rotateAsked: false,
    heads: [],
    segmentsArchived: 1,
    lastSuccessAt: null,
    lastFailure: null,
    backlog: { logs: 0, bytes: 0 },
    lastRefusedSignal: null,
    stores: [],
    standIns: [],
    noStandIns: [],
    boundaries: [],
    acknowledgedGtids: null,
    unaudited: [],
    auditFailure: null,
    unvalidated: null,
    retention: null,
    lanes: [],
  },
};

function facts(change: {
  store?: Partial<ReadableStore>;
  workflow?: WorkflowAnswer;
  more?: ClusterFacts['stores'];
  watch?: ClusterFacts['watch'];
  disagreement?: AppError;
}): ClusterFacts {
  return {
    cluster: 'shop',
    stores: [{ ...STORE, ...change.store }, ...(change.more ?? [])],
    disagreement: change.disagreement ?? null,
    sources: [
      {
        id: 'shop-1',
        server: {
          status: 'answered',
          serverUuid: UUID,
          gtidExecuted: GtidSet.parse(`${UUID}:1-15`),
          closed: [
            { name: 'binlog.000001', sizeBytes: 100 },
            { name: 'binlog.000002', sizeBytes: 200 },
          ],
          gtidMode: 'ON',
          heads: [],
        },
        workflow: change.workflow ?? RUNNING,
      },
    ],
    watch: change.watch ?? { status: 'not-wanted' },
  };
}

const codes = (it: ClusterFacts) => judgeCluster(it).map(({ code }) => code);

test('where fallbacks are named, it is told that nobody watches, and why nobody could take over', () => {
  const workflowId = 'watch/shop';
  assert.deepEqual(codes(facts({ watch: { status: 'not-running', workflowId } })), ['NotWatching']);
  const answer = {
    cluster: 'shop',
    source: 'shop-1',
    phase: 'watching',
    trouble: null,
    known: { serverUuid: UUID, failingSinceMs: null, stuck: null, lagHandoffsMs: [] },
    lastHandoffs: [],
  } as const;
  const watched = (more: object) =>
    facts({ watch: { status: 'running', workflowId, answer: { ...answer, ...more } } });
  assert.deepEqual(codes(watched({})), []);
  const failing = watched({
    known: { ...answer.known, failingSinceMs: 1_000 },
    lastHandoffs: [{ to: 'shop-2', outcome: 'failed', epoch: null, detail: 'it lacks uuid:7.', at: '' }],
  });
  const [problem, ...others] = judgeCluster(failing);
  assert.deepEqual([problem?.code, others], ['SourceFailing', []]);
  assert.match(
    problem?.message ?? '',
    /since 1970-01-01T00:00:01.000Z. Nobody could take over: it lacks uuid:7/,
  );
});

test('a cluster in order has no problem, and its lag is told in transactions, time and binlogs', () => {
  const cluster = facts({});
  assert.deepEqual(codes(cluster), []);
  const report = reportOf(cluster, [], Date.parse('2026-11-20T10:00:30Z'));
  assert.equal(report.status, 'ok');
  const [line] = report.sources[0]?.archived ?? [];
  assert.deepEqual(
    [line?.pendingTransactions, line?.lagSeconds, line?.backlog],
    [5, 30, { logs: 1, bytes: 200 }],
  );
});

test('whatever makes a cluster less safe is a problem by its own name', () => {
  const error = new AppError({ code: 'StoreUnreachable', kind: 'unavailable', message: 'gone' });
  const ended = { ...STORE.windows[0], endsAt: 'gap' } as ReadableStore['windows'][number];
  const { archive } = RUNNING;
  const failure = { code: 'RotationDenied', kind: 'refused', message: 'no', hint: '', at: '' };
  const cases: readonly (readonly [Parameters<typeof facts>[0], string])[] = [
    [{ store: { backups: 0, windows: [] } }, 'NoBackup'],
    [{ store: { windows: [] } }, 'BackupIncomplete'],
    [{ store: { windows: [ended] } }, 'ArchiveGap'],
    [{ store: { damagedPacks: [1] } }, 'PackDamaged'],
    [{ more: [{ status: 'unreadable', id: 's3', error }] }, 'StoreUnreachable'],
    [{ more: [{ ...STORE, id: 's3', archived: GtidSet.EMPTY }] }, 'StoreBehind'],
    [{ workflow: { status: 'not-running', workflowId: 'w' } }, 'NotArchiving'],
    [{ workflow: { status: 'silent', workflowId: 'w' } }, 'NoWorker'],
    [{ workflow: { status: 'unreachable', error } }, 'StoreUnreachable'],
    [{ workflow: { ...RUNNING, archive: { ...archive, mode: 'paused' } } }, 'Paused'],
    [{ workflow: { ...RUNNING, archive: { ...archive, rotationFailure: failure } } }, 'RotationDenied'],
  ];
  for (const [change, code] of cases) assert.deepEqual(codes(facts(change)), [code]);
});

test('a store for which no other one can count is told of with the reason of each, and so is a silent audit log', () => {
  const reasons = [
    { store: 'main', reason: 'behind', missingGtids: `${UUID}:8-10` },
    { store: 's3', reason: 'circuit-open', missingGtids: '' },
  ] as const;
  const boundary = { epoch: 2, from: 'main', to: 's3', reason: 'circuit-open', detail: '' } as const;
  const auditFailure = {
    code: 'AuditUnwritable',
    kind: 'unavailable',
    message: 'full',
    hint: '',
    at: '',
  } as const;
  const { archive } = RUNNING;
  const cluster = facts({
    workflow: {
      ...RUNNING,
      archive: { ...archive, noStandIns: [{ store: 'main', reasons }], unaudited: [boundary], auditFailure },
    },
  });
  const [unmet, audit, ...others] = judgeCluster(cluster);
  assert.deepEqual([unmet?.code, audit?.code, others], ['NoStandIn', 'AuditUnwritable', []]);
  assert.match(
    unmet?.message ?? '',
    /main lacks 3e11\S*:8-10, which was called archived; s3 has failed, too/,
  );
  assert.match(unmet?.hint ?? '', /taken out of pitrail.yaml/);
});

test('a dead letter is told once: by the workflow where it answers, else from the catalog', () => {
  const refusal = {
    sequence: 2,
    writtenAt: '',
    serverUuid: UUID,
    binlog: 'binlog.000003',
    reason: 'r',
    detail: 'd',
  };
  const store = { deadLetters: [refusal] };
  assert.deepEqual(codes(facts({ store })), []);
  const silent = facts({ store, workflow: { status: 'silent', workflowId: 'w' } });
  assert.deepEqual(codes(silent), ['DeadLetter', 'NoWorker']);
});

test('a store that lacks the newest base backup is degraded, and it is said how it gets it', () => {
  const older = { backupId: 'b0', finishedAt: '2026-11-19T10:00:00.000000Z' };
  const behind: ReadableStore = { ...STORE, id: 's3', newestBackup: older };
  const [problem, ...others] = judgeCluster(facts({ more: [behind] }));
  assert.deepEqual([problem?.code, problem?.subject, others], ['BackupMissing', 's3', []]);
  assert.match(problem?.hint ?? '', /pitrail sync --from main --to s3/);
  assert.deepEqual(codes(facts({ more: [{ ...STORE, id: 's3' }] })), []);
});

test('what a store never gets is told with the store that has it, beside what else is wrong there', () => {
  const name = 'binlog.000004 of the server';
  const outOfReach = { heldBy: 'main', logs: 2, transactions: 7, reason: 'too-late', name } as const;
  const archive = { ...RUNNING.archive, stores: [{ ...RECORD, outOfReach }] };
  const [problem, ...others] = judgeCluster(facts({ workflow: { ...RUNNING, archive } }));
  assert.deepEqual([problem?.code, problem?.subject, others], ['StoreOutOfReach', 's3', []]);
  assert.match(
    problem?.message ?? '',
    /never gets 2 binlogs with 7 transactions that main holds.*binlog.000004/,
  );
});

test('what a store never gets degrades it until it holds a base backup behind it, and is a note from then on', () => {
  const missing = GtidSet.parse(`${UUID}:4-5`);
  const judged = (change: {
    readonly reason?: 'too-late' | 'fenced';
    readonly base: 'none' | 'behind-it';
    readonly place?: 'before-first';
    readonly archived?: string;
  }) => {
    const { reason = 'too-late', base, place = 'between-logs' } = change;
    const outOfReach = { heldBy: 'main', logs: 1, transactions: 2, reason, name: 'binlog.000002' };
    const workflow = { ...RUNNING, archive: { ...RUNNING.archive, stores: [{ ...RECORD, outOfReach }] } };
    const archived = GtidSet.parse(change.archived ?? `${UUID}:1-3,${UUID}:6-10`);
    const s3: ReadableStore = {
      ...STORE,
      id: 's3',
      archived,
      holes: [{ timeline: 1, place, missing, base }],
    };
    const cluster = facts({ workflow, more: [s3] });
    const problems = judgeCluster(cluster);
    return { problems, words: describeReport(cluster, reportOf(cluster, problems, 0)) };
  };
  const codesOf = ({ problems }: ReturnType<typeof judged>) => problems.map(({ code }) => code);
  const open = judged({ base: 'none' });
  assert.deepEqual(codesOf(open), ['StoreBehind', 'StoreOutOfReach']);
  assert.match(open.problems[1]?.hint ?? '', /ends with a base backup behind them in s3: pitrail backup/);
  for (const place of ['between-logs', 'before-first'] as const) {
    const bridged = judged({ base: 'behind-it', ...(place === 'before-first' ? { place } : {}) });
    assert.deepEqual(codesOf(bridged), [], place);
    assert.match(bridged.words, /2 transactions before a base of it are in main only.*:4-5/);
  }
  const alsoBehind = judged({ base: 'behind-it', archived: `${UUID}:1-3,${UUID}:6-8` });
  assert.deepEqual(codesOf(alsoBehind), ['StoreBehind'], 'what is new is still to come');
  assert.match(alsoBehind.problems[0]?.message ?? '', /lacks 2 transactions .*:9-10\.$/);
  const fenced = judged({ reason: 'fenced', base: 'none' });
  assert.deepEqual(codesOf(fenced), ['StoreBehind', 'StoreOutOfReach']);
  assert.match(fenced.problems[1]?.hint ?? '', /no history that goes on.*It ends with main begun anew/);
});

test('of a source that stands by nothing is told but that, and what an operator must decide', () => {
  const circuit = {
    kind: 'open',
    openedAtMs: 0,
    probeAtMs: 0,
    failedProbes: 1,
    cause: { code: 'StoreUnreachable', message: 'gone' },
  } as const;
  const record: StoreRecord = { ...RECORD, store: 'main', circuit, backlog: { logs: 3, bytes: 30 } };
  const retention = {
    ...{ level: 'critical', reason: 'counting-down', binlog: 'binlog.000002', minutesLeft: 1 },
    atRisk: { logs: 1, bytes: 10, staged: 0 },
  } as never;
  const last = { ...RUNNING.archive, stores: [record], retention };
  const held = facts({ workflow: { ...RUNNING, archive: last } });
  assert.deepEqual(codes(held), ['StoreCircuitOpen', 'RetentionCritical']);
  const hold = { kind: 'handed-away', to: 'shop-2', epoch: 2 } as const;
  const away = facts({ workflow: { ...RUNNING, archive: { ...last, hold } } });
  assert.deepEqual(codes(away), []);
  const report = reportOf(away, [], 0);
  const [source] = report.sources;
  assert.match(source?.standsBy ?? '', /^shop-1 was handed to shop-2 in epoch 2/);
  assert.deepEqual(
    [source?.archived, source?.routes, source?.standIns, source?.retention],
    [[], [], [], null],
  );
  const lines = describeReport(away, report).split('\n');
  assert.deepEqual(
    lines.filter((line) => line.includes('shop-1')),
    [`  source shop-1 stands by: ${source?.standsBy}`],
  );
  assert.ok(!lines.some((line) => line.startsWith('    to ') || line.includes('retention')));
  const letter = {
    ...{ binlog: 'binlog.000009', code: 'HandedAway', message: 'lost', hint: '' },
  } as never;
  const undecided = { ...last, hold, deadLetters: [letter] };
  assert.deepEqual(codes(facts({ workflow: { ...RUNNING, archive: undecided } })), ['HandedAway']);
});

test('a newest timeline without a base, and stores that disagree which one that is, degrade the cluster', () => {
  const codes = (change: Parameters<typeof facts>[0]) =>
    judgeCluster(facts(change)).map(({ code, kind }) => [code, kind]);
  assert.deepEqual(codes({ store: { newestTimeline: 2 } }), [['NoBackupOnTimeline', 'refused']]);
  const stores = ['main', 's3'];
  const disagreement = storesDisagree({ kind: 'timeline-unclear', stores, timeline: null });
  assert.deepEqual(codes({ disagreement }), [['StoresDisagree', 'conflict']]);
});
