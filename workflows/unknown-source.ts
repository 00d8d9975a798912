import { AppError } from '../src/domain/errors.ts';

/** A source that the catalogs name and pitrail.yaml does not. */
export function unknownSource(cluster: string, source: string, cannot: 'be asked' | 'be watched'): AppError {
  return new AppError({
    code: 'UnknownSource',
    kind: 'config',
    message: `The catalogs of ${cluster} name ${source}, which pitrail.yaml does not, so it cannot ${cannot}.`,
    hint: 'Leave it in pitrail.yaml, or say who hands over: pitrail handoff --from SOURCE --to SOURCE.',
    facts: { cluster, source },
  });
}
