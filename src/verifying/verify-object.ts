import { problemOf } from '../binlog/problem.ts';
import { BinlogScanner } from '../binlog/scanner.ts';
import { toSegmentFacts } from '../binlog/segment-facts.ts';
import { canonicalJson } from '../catalog/canonical-json.ts';
import { AppError } from '../domain/errors.ts';
import type { RepositoryId } from '../domain/identity.ts';
import type { SegmentFacts } from '../domain/segment.ts';
import { RunningSha256 } from '../envelope/digest.ts';
import type { EnvelopeKey } from '../envelope/keys.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readSealed } from '../storage/read-back.ts';
import type { ObjectFinding, ObjectProof } from '../syncing/look-at-object.ts';
import { type SealedBody, sealedFacts } from '../syncing/sealed-body.ts';

/**
 * Proves an object: reads all of it, decrypts, decompresses, compares digests and lengths; a binlog is
 * scanned, every checksum, and its facts compared with those of the catalog.
 * @throws refused `WrongKey`, `StoreDenied`; unavailable
 */
export async function proveObject(
  store: ObjectStore,
  key: EnvelopeKey,
  body: SealedBody,
  repositoryId: RepositoryId,
  options: { readonly signal: AbortSignal; readonly onProgress: (readBytes: number) => void },
): Promise<ObjectProof> {
  const { object, context, expect } = sealedFacts(body, repositoryId);
  const scan = body.kind === 'segment-archived' ? new SegmentScan(body.segment) : null;
  const finding = (code: ObjectFinding['code'], detail: string) => ({ key: object.key, code, detail });
  try {
    const onPlaintext = scan === null ? {} : { onPlaintext: (chunk: Uint8Array) => scan.push(chunk) };
    const found = await readSealed(store, object.key, key, context, expect, { ...options, ...onPlaintext });
    const findings: ObjectFinding[] = [];
    if (found.lengthBytes !== object.lengthBytes || found.sha256 !== object.sha256) {
      findings.push(
        finding('other-content', `its stored bytes have SHA-256 ${found.sha256}, not ${object.sha256}`),
      );
    } else if (found.crc32 !== object.crc32) {
      findings.push(
        finding('other-facts', `its CRC-32 is ${found.crc32}, and the catalog says ${object.crc32}`),
      );
    }
    findings.push(...(scan?.findings() ?? []).map(({ code, detail }) => finding(code, detail)));
    return findings.length === 0 ? { kind: 'proven' } : { kind: 'damaged', findings };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'ObjectMissing')
      return damagedBy(finding('missing', 'the catalog names it, and the store has it not'));
    if (error.kind !== 'corrupt') throw error;
    return damagedBy(finding('other-content', `${error.code}: ${error.message}`));
  }
}

function damagedBy(finding: ObjectFinding): ObjectProof {
  return { kind: 'damaged', findings: [finding] };
}

/** Scans a binlog while it is read, and compares what it says with what the catalog says of it. */
class SegmentScan {
  readonly #facts: SegmentFacts;
  readonly #scanner: BinlogScanner;
  readonly #digest = new RunningSha256();
  #problem: string | null = null;

  constructor(facts: SegmentFacts) {
    this.#facts = facts;
    this.#scanner = new BinlogScanner({ file: facts.binlog });
  }

  push(chunk: Uint8Array): void {
    this.#digest.update(chunk);
    if (this.#problem !== null) return;
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      const problem = problemOf(error);
      if (problem === null) throw error;
      this.#problem = `at offset ${problem.offset}: ${problem.reason}`;
    }
  }

  findings(): Pick<ObjectFinding, 'code' | 'detail'>[] {
    if (this.#problem !== null) return [{ code: 'not-sound', detail: this.#problem }];
    const report = { ...this.#scanner.end(), sha256: this.#digest.finish() };
    const [problem] = report.problems;
    if (problem !== undefined)
      return [{ code: 'not-sound', detail: `at offset ${problem.offset}: ${problem.reason}` }];
    const { serverUuid, binlog, closedBy } = this.#facts;
    const ends = report.closedBy ?? 'recovery';
    if (ends !== closedBy) {
      return [{ code: 'other-facts', detail: `it ends by ${ends}, and the catalog says by ${closedBy}` }];
    }
    return differencesOf(this.#facts, toSegmentFacts(report, { serverUuid, binlog, closedBy }));
  }
}

function differencesOf(catalog: SegmentFacts, found: SegmentFacts): Pick<ObjectFinding, 'code' | 'detail'>[] {
  const names = Object.keys(found) as (keyof SegmentFacts)[];
  const differing = names.filter((name) => textOf(catalog[name]) !== textOf(found[name]));
  return differing.map((name) => ({
    code: 'other-facts',
    detail: `its ${name} is ${textOf(found[name])}, and the catalog says ${textOf(catalog[name])}`,
  }));
}

/** GTID sets with or without line feeds are the same. */
function textOf(value: SegmentFacts[keyof SegmentFacts]): string {
  return canonicalJson(value).replaceAll('\\n', '');
}
