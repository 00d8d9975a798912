import type { CatalogBody } from '../domain/catalog-entry.ts';
import type { CatalogView, ListedEntry } from '../domain/routing/catalog-view.ts';
import type { CatalogState } from './fold.ts';

/** The entries of a catalog in order, as catalogs are compared by them. Who made the repository is left out. */
export function viewOf(store: string, state: CatalogState): CatalogView {
  const { cluster, repositoryId } = state;
  const listed: Omit<ListedEntry, 'epoch'>[] = [
    { sequence: 1, body: { kind: 'repository-created', cluster, createdBy: '' } },
    ...state.allSegments().map(({ writer: _writer, ...it }) => listedAs('segment-archived', it)),
    ...state.backups().map((it) => listedAs('backup-registered', it)),
    ...state.timelines().map((it) => listedAs('timeline-started', it)),
    ...state.refusals().map((it) => listedAs('segment-refused', it)),
    ...state.acceptedGaps().map((it) => listedAs('gap-accepted', it)),
    ...state.handoffs().map(({ epoch: _epoch, ...it }) => listedAs('handoff', it)),
    ...state.handoffResults().map((it) => listedAs('handoff-validated', it)),
  ];
  listed.sort((a, b) => a.sequence - b.sequence);
  let epoch = state.epoch - state.handoffs().length;
  const entries = listed.map(({ sequence, body }): ListedEntry => {
    if (body.kind === 'handoff') epoch += 1;
    return { sequence, epoch, body };
  });
  return { store, repositoryId, entries };
}

type Written = { readonly sequence: number; readonly writtenAt: string };

function listedAs<Kind extends CatalogBody['kind']>(
  kind: Kind,
  { sequence, writtenAt: _writtenAt, ...rest }: Written & Omit<Extract<CatalogBody, { kind: Kind }>, 'kind'>,
): Omit<ListedEntry, 'epoch'> {
  return { sequence, body: { kind, ...rest } as unknown as CatalogBody };
}
