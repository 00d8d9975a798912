import { once } from 'node:events';
import { type Duplex, PassThrough } from 'node:stream';

/**
 * Sends a stream of chunks through a Node transform, with back pressure. Ending early closes the
 * input. What the input throws comes out unchanged; what the transform throws, by way of
 * `translate`: a failed stream reports several errors, in any order.
 *
 * The transform is fed and read, but never destroyed: the Encryption SDK's streams, destroyed
 * before their end, throw out of a callback of their own, which ends the process. They hold nothing
 * but memory. A caller whose transform holds more destroys it when this has ended.
 */
export async function* through(
  input: AsyncIterable<Uint8Array>,
  transform: Duplex,
  translate: (error: unknown) => unknown,
): AsyncGenerator<Buffer> {
  const stop = new AbortController();
  // In object mode chunks are handed on one by one; otherwise waiting ones are copied together.
  const output = new PassThrough({ objectMode: true, highWaterMark: 1 });
  // Listens for good: an error emitted late must not go unheard, which would end the process too.
  transform.on('error', (error) => output.destroy(error));
  transform.pipe(output);

  let inputFailure: { readonly error: unknown } | undefined;
  const fed = feed(input, transform, stop.signal).catch((error: unknown) => {
    inputFailure = { error };
    output.destroy(new Error('the input failed'));
  });
  try {
    for await (const chunk of output) yield chunk as Buffer;
  } catch (error) {
    throw inputFailure === undefined ? translate(error) : inputFailure.error;
  } finally {
    stop.abort();
    await fed;
  }
}

/** Writes all of the input, then the end; gives up silently once the signal says that nobody reads. */
async function feed(input: AsyncIterable<Uint8Array>, transform: Duplex, stop: AbortSignal): Promise<void> {
  for await (const chunk of input) {
    if (stop.aborted) return;
    if (!transform.write(chunk)) await drained(transform, stop);
  }
  if (!stop.aborted) transform.end();
}

async function drained(transform: Duplex, stop: AbortSignal): Promise<void> {
  try {
    await once(transform, 'drain', { signal: stop });
  } catch {
    // Stopped, or the transform failed: the reader hears that from the transform's own event, and
    // aborts `stop` then.
  }
}
