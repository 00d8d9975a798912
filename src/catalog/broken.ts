import { AppError } from '../domain/errors.ts';

/** How a catalog can be broken at a sequence. */
export type BreakReason =
  | 'malformed'
  | 'sequence'
  | 'repository'
  | 'link'
  | 'missing'
  | 'signature'
  | 'epoch'
  | 'rolled-back'
  | 'kind';

/** A broken place in a catalog: the first sequence that cannot be trusted, and why. */
export interface CatalogBreak {
  readonly sequence: number;
  readonly reason: BreakReason;
  /** What was found, a clause: `entry 4 was not written after what now stands as entry 3`. */
  readonly detail: string;
}

/** The error of a broken catalog; `facts.sequence` is the first bad sequence. */
export function catalogBroken(location: string, found: CatalogBreak): AppError {
  return new AppError({
    code: 'CatalogBroken',
    kind: 'corrupt',
    message:
      `The catalog in ${location} is broken at sequence ${found.sequence}: ${found.detail}. ` +
      'Nothing from there on can be trusted, so nothing is planned, written or restored from it.',
    hint:
      'Someone or something changed objects that are written once. Look at older versions of that object ' +
      'in the store, or at another store of the same cluster, and put the original back.',
    facts: { location, sequence: found.sequence, reason: found.reason, detail: found.detail },
  });
}

/** Thrown inside the catalog where a pure check finds a break; the reader adds the place. */
export class BreakFound extends Error {
  readonly found: CatalogBreak;

  constructor(found: CatalogBreak) {
    super(found.detail);
    this.name = 'BreakFound';
    this.found = found;
  }
}
