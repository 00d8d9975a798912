import type { ErrorKind } from '../../domain/errors.ts';

/** Something that keeps a cluster from being as safe as it should be. */
export interface Problem {
  readonly code: string;
  readonly kind: ErrorKind;
  /** The source or store it is about. */
  readonly subject: string;
  readonly message: string;
  readonly hint: string;
}
