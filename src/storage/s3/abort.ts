import { AbortMultipartUploadCommand } from '@aws-sdk/client-s3';
import { AppError } from '../../domain/errors.ts';
import { withAftermath } from '../refusals.ts';
import type { BegunUpload, Bucket } from './bucket.ts';
import { s3Error, s3Failure } from './errors.ts';

const ABORT_TIMEOUT_MS = 30_000;
/** A store that is away for long must not fill the memory; the parts of any more are left to the lifecycle rule. */
const MAX_LEFT_BEHIND = 1000;

/**
 * Ends an upload, so that no part of it stays. One whose store is away is remembered, and ended before the next upload.
 * @throws unavailable; refused `StoreDenied`
 */
export async function abort(bucket: Bucket, upload: BegunUpload): Promise<void> {
  const { objectKey, uploadId } = upload;
  const command = new AbortMultipartUploadCommand({
    Bucket: bucket.name,
    Key: objectKey,
    UploadId: uploadId,
  });
  try {
    await bucket.client.send(command, { abortSignal: AbortSignal.timeout(ABORT_TIMEOUT_MS) });
  } catch (thrown) {
    // Gone already: ended by the object that was made of it, or by a lifecycle rule.
    if (s3Failure(thrown).code === 'NoSuchUpload') return;
    const error = s3Error(bucket.location, 's3:AbortMultipartUpload', thrown);
    if (isPassing(error) && bucket.leftBehind.size < MAX_LEFT_BEHIND) bucket.leftBehind.set(uploadId, upload);
    throw error;
  }
}

/** Aborts after a failure, which is what counts; that parts stayed behind is added to it. */
export async function abortAfter(bucket: Bucket, upload: BegunUpload, failure: unknown): Promise<unknown> {
  try {
    await abort(bucket, upload);
    return failure;
  } catch (error) {
    const until = isPassing(error)
      ? 'until the store answers this process again, or a lifecycle rule ends the upload'
      : 'until a lifecycle rule ends the upload';
    const note = `The parts sent so far could not be removed and take space ${until}.`;
    return withAftermath(failure, error, note, { uploadId: upload.uploadId });
  }
}

/**
 * Ends what earlier uploads left behind while the store was away. A denial is told once, and not tried again.
 * @throws unavailable where it is still away; refused `StoreDenied`
 */
export async function abortLeftBehind(bucket: Bucket): Promise<void> {
  for (const [uploadId, upload] of bucket.leftBehind) {
    // Taken out first: of uploads that begin together one ends it.
    if (bucket.leftBehind.delete(uploadId)) await abort(bucket, upload);
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'unavailable';
}
