import { isAbsolute, relative, resolve } from 'node:path';

/** One thing wrong in pitrail.yaml, at a path of keys and indexes. */
export interface Finding {
  readonly path: readonly (string | number)[];
  /** What is there and what was meant; a clause. */
  readonly problem: string;
}

type Path = readonly (string | number)[];

/**
 * Checks what depends on more than one field: choices of which exactly one is needed, ids that
 * stand twice, stores that lie in one another. Takes the file as it is, so that these show beside
 * errors of single fields; whatever has the wrong shape is left to the schema.
 */
export function crossCheck(root: unknown, base: string): Finding[] {
  const clusters = entriesOf(asObject(root)['clusters']);
  const stores: PlacedStore[] = [];
  const findings = clusters.flatMap(([name, value]) => {
    const cluster = asObject(value);
    const at: Path = ['clusters', name];
    stores.push(...placedStores(cluster['stores'], [...at, 'stores'], base));
    return [
      ...asArray(cluster['sources']).flatMap((it, i) => [
        ...checkSource(asObject(it), [...at, 'sources', i]),
        ...checkMode(asObject(it), asObject(cluster['archive']), [...at, 'sources', i]),
      ]),
      ...asArray(cluster['stores']).flatMap((it, i) => checkStore(asObject(it), [...at, 'stores', i])),
      ...noneRequired(cluster['stores'], [...at, 'stores']),
      ...duplicateIds(cluster['sources'], [...at, 'sources']),
      ...duplicateIds(cluster['stores'], [...at, 'stores']),
      ...checkFallback(cluster, at),
    ];
  });
  if (clusters.length === 0 && 'clusters' in asObject(root)) {
    findings.push({ path: ['clusters'], problem: 'clusters is empty: name at least one cluster' });
  }
  return [
    ...findings,
    ...checkSecret(asObject(asObject(root)['temporal'])['apiKey'], ['temporal', 'apiKey']),
    ...collisions(stores),
  ];
}

/** Fallbacks are sources of the cluster, and exactly one source is none: the one that is archived first. */
function checkFallback(cluster: Readonly<Record<string, unknown>>, at: Path): Finding[] {
  const named = asArray(asObject(asObject(cluster['archive'])['fallback'])['sources']);
  const ids = asArray(cluster['sources']).map((item) => asObject(item)['id']);
  const path = [...at, 'archive', 'fallback', 'sources'];
  const findings = named.flatMap((id, index): Finding[] => {
    if (typeof id !== 'string') return [];
    if (!ids.includes(id))
      return [{ path: [...path, index], problem: `${id} is none of the sources of this cluster` }];
    if (named.indexOf(id) < index) return [{ path: [...path, index], problem: `${id} stands twice` }];
    return [];
  });
  const archived = ids.filter((id) => !named.includes(id));
  if (findings.length === 0 && named.length > 0 && archived.length !== 1) {
    const problem =
      archived.length === 0
        ? 'every source is a fallback: leave out the one that is archived first'
        : `${archived.join(' and ')} are no fallbacks: one source is archived first, name all others here`;
    findings.push({ path, problem });
  }
  return findings;
}

function checkSource(source: Readonly<Record<string, unknown>>, at: Path): Finding[] {
  const findings = checkSecret(source['password'], [...at, 'password']);
  const { socket, host } = source;
  if (socket === undefined && host === undefined) {
    findings.push({ path: at, problem: 'this source has neither socket nor host: give one of them' });
  }
  const tls = asObject(source['tls']);
  if (tls['verify'] === 'off' && tls['ca'] !== undefined) {
    const problem = 'ca stands beside verify: off: leave verify out, and what answers is proven by it';
    findings.push({ path: [...at, 'tls', 'ca'], problem });
  }
  for (const key of ['host', 'port', 'tls']) {
    if (socket !== undefined && source[key] !== undefined) {
      findings.push({
        path: [...at, key],
        problem: `${key} stands beside socket: give a socket, or host and port`,
      });
    }
  }
  return findings;
}

/** What a source needs for the way in which its logs are read, and what would mean nothing there. */
function checkMode(
  source: Readonly<Record<string, unknown>>,
  archive: Readonly<Record<string, unknown>>,
  at: Path,
): Finding[] {
  const { mode = 'host', binlogDir, replicaServerId, stagingDir } = source;
  const findings: Finding[] = [];
  if (mode === 'host' && binlogDir === undefined) {
    const problem =
      'binlogDir is missing: give the folder of the binary logs, or mode: remote where this host does not see them';
    findings.push({ path: [...at, 'binlogDir'], problem });
  }
  if (mode === 'host' && replicaServerId !== undefined) {
    const problem = 'replicaServerId means nothing in mode host: leave it out, or set mode: remote';
    findings.push({ path: [...at, 'replicaServerId'], problem });
  }
  if (mode === 'remote' && binlogDir !== undefined) {
    const problem = 'binlogDir stands beside mode: remote, which reads no files: leave one of them out';
    findings.push({ path: [...at, 'binlogDir'], problem });
  }
  if (mode === 'remote' && (stagingDir ?? archive['stagingDir']) === undefined) {
    const problem =
      'mode: remote needs a stagingDir, where the logs that are read lie until they are archived';
    findings.push({ path: [...at, 'mode'], problem });
  }
  return findings;
}

const HOMES = ['directory', 's3', 'gcs'] as const;

function checkStore(store: Readonly<Record<string, unknown>>, at: Path): Finding[] {
  const [first, second] = HOMES.filter((home) => store[home] !== undefined);
  if (first === undefined) {
    return [{ path: at, problem: 'this store has neither directory nor s3 nor gcs: give one of them' }];
  }
  if (second !== undefined) {
    return [{ path: [...at, second], problem: `${second} stands beside ${first}: a store has one home` }];
  }
  if (first === 's3') return checkS3(asObject(store['s3']), [...at, 's3']);
  return first === 'gcs' ? checkGcs(asObject(store['gcs']), [...at, 'gcs']) : [];
}

function checkS3(bucket: Readonly<Record<string, unknown>>, at: Path): Finding[] {
  const findings: Finding[] = [];
  const keys = ['accessKeyId', 'secretAccessKey'] as const;
  for (const key of keys) findings.push(...checkSecret(bucket[key], [...at, key]));
  const given = keys.filter((key) => bucket[key] !== undefined);
  if (given.length === 1) {
    const problem = `${given[0]} stands alone: give accessKeyId and secretAccessKey, or neither`;
    findings.push({ path: [...at, given[0] ?? ''], problem });
  }
  if (hasPassword(bucket['endpoint'])) {
    const problem =
      'endpoint holds a user or password: give accessKeyId and secretAccessKey by reference instead';
    findings.push({ path: [...at, 'endpoint'], problem });
  }
  return findings;
}

function checkGcs(bucket: Readonly<Record<string, unknown>>, at: Path): Finding[] {
  const { credentials, endpoint } = bucket;
  const findings = checkSecret(credentials, [...at, 'credentials']);
  const url = typeof endpoint === 'string' ? URL.parse(endpoint) : null;
  if (credentials === 'anonymous' && endpoint === undefined) {
    const problem = 'credentials is anonymous without an endpoint: Google lets nobody write without a name';
    findings.push({ path: [...at, 'credentials'], problem });
  }
  if (hasPassword(endpoint)) {
    const problem = 'endpoint holds a user or password: give credentials by reference instead';
    findings.push({ path: [...at, 'endpoint'], problem });
  } else if (url?.protocol === 'http:' && credentials !== 'anonymous') {
    const problem =
      'endpoint is not encrypted, and whoever listens would have the token: give https://, or credentials: anonymous';
    findings.push({ path: [...at, 'endpoint'], problem });
  }
  if (bucket['retentionMode'] !== undefined && bucket['retentionDays'] === undefined) {
    const problem = 'retentionMode stands alone: give retentionDays, too';
    findings.push({ path: [...at, 'retentionMode'], problem });
  }
  return findings;
}

function hasPassword(endpoint: unknown): boolean {
  const url = typeof endpoint === 'string' ? URL.parse(endpoint) : null;
  return url !== null && (url.username !== '' || url.password !== '');
}

/** A reference must have exactly one of its two forms; other shapes are the schema's business. */
function checkSecret(secret: unknown, at: Path): Finding[] {
  if (typeof secret !== 'object' || secret === null || Array.isArray(secret)) return [];
  const count = ['file', 'env'].filter((key) => key in secret).length;
  if (count === 1) return [];
  return [{ path: at, problem: `${at.at(-1)} needs exactly one of { file: PATH } and { env: NAME }` }];
}

/** Nothing would ever count as archived. */
function noneRequired(list: unknown, at: Path): Finding[] {
  const policies = asArray(list).map((store) => asObject(store)['policy']);
  if (policies.length === 0 || policies.some((policy) => policy !== 'catch-up')) return [];
  return [
    { path: at, problem: 'every store is catch-up: at least one must be required, or nothing is archived' },
  ];
}

function duplicateIds(list: unknown, at: Path): Finding[] {
  const ids = asArray(list).map((item) => asObject(item)['id']);
  return ids.flatMap((id, index) =>
    typeof id === 'string' && ids.indexOf(id) < index
      ? [
          {
            path: [...at, index, 'id'],
            problem: `id ${id} stands twice in ${at.at(-1)}: each id names one thing`,
          },
        ]
      : [],
  );
}

interface PlacedStore {
  readonly at: Path;
  /** An absolute path; for buckets below a root of their own, so that no folder lies in one. */
  readonly place: string;
  readonly shown: string;
}

function placedStores(list: unknown, at: Path, base: string): PlacedStore[] {
  return asArray(list).flatMap((item, index): PlacedStore[] => {
    const { directory, s3, gcs } = asObject(item);
    if (typeof directory === 'string') {
      const place = resolve(base, directory);
      return [{ at: [...at, index, 'directory'], place: `/directory${place}`, shown: place }];
    }
    return [
      ...placedBucket(s3, [...at, index, 's3'], 's3', 'aws'),
      ...placedBucket(gcs, [...at, index, 'gcs'], 'gs', 'google'),
    ];
  });
}

function placedBucket(written: unknown, at: Path, scheme: 's3' | 'gs', provider: string): PlacedStore[] {
  const { bucket, prefix, endpoint } = asObject(written);
  if (typeof bucket !== 'string') return [];
  const inBucket = typeof prefix === 'string' && prefix !== '' ? `${bucket}/${prefix}` : bucket;
  const host = typeof endpoint === 'string' ? (URL.parse(endpoint)?.host ?? '') : provider;
  return [{ at, place: `/${scheme}/${host}/${inBucket}`, shown: `${scheme}://${inBucket}` }];
}

function collisions(stores: readonly PlacedStore[]): Finding[] {
  return stores.flatMap((store, index) => {
    const other = stores
      .slice(0, index)
      .find((it) => isWithin(it.place, store.place) || isWithin(store.place, it.place));
    if (other === undefined) return [];
    const where =
      other.place === store.place ? 'is another store already' : `and ${other.shown} lie in one another`;
    const problem = `${store.shown} ${where}: each store of each cluster needs a place of its own`;
    return [{ path: store.at, problem }];
  });
}

function isWithin(outer: string, inner: string): boolean {
  const path = relative(outer, inner);
  return path === '' || !(path === '..' || path.startsWith('../') || isAbsolute(path));
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(asObject(value));
}
