import { strict as assert } from 'node:assert';
import { after, before, describe, it } from 'node:test';
import { captureCoordinates } from '../../src/backup/capture.ts';
import { executeClone } from '../../src/backup/execute.ts';
import { prepareBackup } from '../../src/backup/prepare.ts';
import { validateAndRegister } from '../../src/backup/register.ts';
import { uploadBackup } from '../../src/backup/upload.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { ServerUuid } from '../../src/domain/identity.ts';
import { type BackupRig, newRequest, startBackupRig, takeBackup } from './base-rig.ts';
import { OTHER_SERVER } from './catalog-samples.ts';

describe('a base backup and a handoff', () => {
  let rig: BackupRig;
  before(async () => {
    rig = await startBackupRig();
  });
  after(() => rig.stop());

  const handOff = async (store: number, from: ServerUuid, to: ServerUuid): Promise<void> => {
    const { catalog } = rig.repositories.all[store] ?? assert.fail();
    const { epoch } = await catalog.read();
    const names = new Map([[OTHER_SERVER, 'shop-2']]);
    const ref = (serverUuid: ServerUuid) => ({ source: names.get(serverUuid) ?? 'shop-1', serverUuid });
    const continuity = { kind: 'resync', lostGtids: '', gapGtids: '' } as const;
    await catalog.append(
      {
        kind: 'handoff',
        route: { kind: 'source', from: ref(from), to: ref(to), continuity },
        reason: 'operator',
        detail: '',
      },
      { writer: 'test/1/handoff', epoch: epoch + 1, at: '2026-01-01T00:00:00.000000Z' },
    );
  };
  const backups = async (): Promise<number[]> =>
    Promise.all(rig.repositories.all.map(async ({ catalog }) => (await catalog.read()).backups().length));
  const fails = (code: string) => (error: unknown) => error instanceof AppError && error.code === code;

  it('is registered nowhere where its source was handed away while it was taken', async () => {
    const prepared = await prepareBackup(rig.ctx, newRequest());
    assert.equal(prepared.epoch, 1);
    const captured = await captureCoordinates(rig.ctx, await executeClone(rig.ctx, prepared));
    const uploaded = await uploadBackup(rig.ctx, captured);
    for (const store of [0, 1]) await handOff(store, prepared.serverUuid, OTHER_SERVER);
    await assert.rejects(validateAndRegister(rig.ctx, uploaded), fails('StaleEpoch'));
    assert.deepEqual(await backups(), [0, 0]);
  });

  it('does not begin where its source is handed away, and does once it came back, in the new epoch', async () => {
    await assert.rejects(prepareBackup(rig.ctx, newRequest()), fails('HandedAway'));
    const [row] = await rig.source.query<{ uuid: ServerUuid }>('SELECT @@server_uuid AS uuid');
    const own = row?.uuid ?? assert.fail();
    await handOff(0, OTHER_SERVER, own);
    // The second store has not got it yet: nothing is written there ahead of it.
    const first = await takeBackup(rig.ctx);
    assert.deepEqual(
      [first.registered.map(({ store }) => store), first.left.map(({ store, code }) => [store, code])],
      [['main'], [['s3', 'HandoffMissing']]],
    );
    assert.deepEqual(await backups(), [1, 0]);
    await handOff(1, OTHER_SERVER, own);
    const { registered } = await takeBackup(rig.ctx);
    assert.equal(registered.length, 2);
    const [{ catalog }] = [rig.repositories.all[1] ?? assert.fail()];
    assert.equal((await catalog.read()).epoch, 3);
  });
});
