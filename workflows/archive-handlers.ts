import { ApplicationFailure, condition, setHandler } from '@temporalio/workflow';
import { lettersNamed } from './archive-dead-letters.ts';
import { type ArchiveEntity, closeTicket, openTicket, statusOf, ticketResult } from './archive-entity.ts';
import { type ArchiveNowResult, DEAD_LETTER_DECISION, type Decision } from './contracts/archive.ts';
import { type Contract, NO_PAYLOAD, type NoPayload } from './contracts/contract.ts';
import { decode } from './decode.ts';
import {
  acceptGap,
  archiveNow,
  pause,
  reclaim,
  resume,
  retryRefused,
  rotateNow,
  status,
} from './messages.ts';

/** Answers queries, signals and updates for the life of the run. */
export function listen(entity: ArchiveEntity): void {
  setHandler(status, () => statusOf(entity));
  setHandler(pause, (payload) =>
    accept(entity, NO_PAYLOAD, payload, () => {
      entity.mode = 'paused';
    }),
  );
  setHandler(resume, (payload) =>
    accept(entity, NO_PAYLOAD, payload, () => {
      entity.mode = 'running';
    }),
  );
  setHandler(rotateNow, (payload) =>
    accept(entity, NO_PAYLOAD, payload, () => {
      entity.rotateAsked = true;
    }),
  );
  setHandler(reclaim, (payload) =>
    accept(entity, NO_PAYLOAD, payload, () => {
      entity.reclaimAsked = true;
      entity.wake = true;
    }),
  );
  setHandler(retryRefused, (payload) => decide(entity, 'retry', payload));
  setHandler(acceptGap, (payload) => decide(entity, 'accept-gap', payload));
  setHandler(archiveNow, (_payload?: NoPayload) => answerArchiveNow(entity), {
    validator: (payload?: NoPayload) => {
      decode(NO_PAYLOAD, payload);
      if (entity.mode === 'paused') throw pausedFailure(entity);
    },
  });
}

/** A signal with a bad payload must not end the entity: it is refused, and `status` shows why. */
function accept<T>(
  entity: ArchiveEntity,
  contract: Contract<T>,
  payload: unknown,
  act: (value: T) => void,
): void {
  try {
    act(decode(contract, payload));
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    entity.lastRefusedSignal = error.message;
  }
}

function decide(entity: ArchiveEntity, kind: Decision['kind'], payload: unknown): void {
  accept(entity, DEAD_LETTER_DECISION, payload, (decision) => {
    const letters = lettersNamed(entity, decision.binlog);
    const servers = new Set(letters.map(({ serverUuid }) => serverUuid));
    if (letters.length === 0) {
      entity.lastRefusedSignal = `${decision.binlog} is not on the dead-letter list, so there was nothing to decide.`;
    } else if (servers.size > 1) {
      const names = letters.map(({ serverUuid, binlog }) => `${serverUuid}/${binlog}`);
      entity.lastRefusedSignal = `${decision.binlog} stands on the dead-letter list for ${servers.size} servers, so nothing was decided: say which, ${names.join(' or ')}.`;
    } else {
      // The last word on a log counts; one that waits is taken back by it.
      const others = entity.decisions.filter(({ binlog }) => binlog !== decision.binlog);
      entity.decisions = [...others, { ...decision, kind, behind: null }];
    }
  });
}

async function answerArchiveNow(entity: ArchiveEntity): Promise<ArchiveNowResult> {
  const ticket = openTicket(entity);
  try {
    await condition(() => ticket.state.kind !== 'waiting' || entity.mode === 'paused');
    if (ticket.state.kind === 'failed') throw ticket.state.error;
    if (ticket.state.kind === 'waiting') throw pausedFailure(entity);
    return ticketResult(entity, ticket);
  } finally {
    closeTicket(entity, ticket);
  }
}

function pausedFailure(entity: ArchiveEntity): ApplicationFailure {
  const { cluster, source } = entity.input;
  return ApplicationFailure.create({
    message: `Archiving of ${cluster}/${source} is paused, so nothing was archived.`,
    type: 'ArchivePaused',
    nonRetryable: true,
    details: [
      { kind: 'refused', hint: 'Resume it first: pitrail archive --resume.', facts: { cluster, source } },
    ],
  });
}
