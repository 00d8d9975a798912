import type { StoreRules } from '../../src/config/types.ts';
import { RateGate } from '../../src/storage/guard/rate-gate.ts';

/** The rules of a store of which pitrail.yaml says nothing. */
export const PLAIN_RULES: StoreRules = { policy: 'required', limitBytesPerSecond: null, verify: 'full' };

/** How a segment goes up where nothing is configured. */
export const PLAIN_UPLOAD = { verify: 'full', gate: new RateGate(null) } as const;
