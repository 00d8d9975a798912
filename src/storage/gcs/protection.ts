import { assertNever } from '../../domain/errors.ts';

/** What keeps an object from being deleted, set when it is created. The bucket's own policy comes on top. */
export interface Protection {
  readonly retention: { readonly days: number; readonly mode: 'unlocked' | 'locked' } | null;
  readonly hold: 'event-based' | 'temporary' | null;
}

export const UNPROTECTED: Protection = { retention: null, hold: null };

/** The fields of an object's metadata that ask for it. Source: JSON API, "Objects" resource. */
export interface ProtectionFields {
  readonly retention?: { readonly mode: 'Unlocked' | 'Locked'; readonly retainUntilTime: string };
  readonly eventBasedHold?: true;
  readonly temporaryHold?: true;
}

/** Asks for the protection of an object that is created now. Pure. */
export function protectionFields({ retention, hold }: Protection, now: Date): ProtectionFields {
  return { ...(retention === null ? {} : { retention: retentionField(retention, now) }), ...holdField(hold) };
}

function retentionField(
  { days, mode }: NonNullable<Protection['retention']>,
  now: Date,
): NonNullable<ProtectionFields['retention']> {
  const until = new Date(now.getTime() + days * 24 * 60 * 60 * 1000);
  return { mode: mode === 'locked' ? 'Locked' : 'Unlocked', retainUntilTime: until.toISOString() };
}

function holdField(hold: Protection['hold']): ProtectionFields {
  switch (hold) {
    case null:
      return {};
    case 'event-based':
      return { eventBasedHold: true };
    case 'temporary':
      return { temporaryHold: true };
    default:
      return assertNever(hold);
  }
}
