import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  NodeDefaultCryptographicMaterialsManager,
} from '@aws-crypto/material-management-node';
import { AppError } from '../domain/errors.ts';
import { contextMismatch, plaintextDigestIn, type SealContext, toEncryptionContext } from './context.ts';
import { corruptSeal } from './envelope-errors.ts';
import { type EnvelopeKey, RAW_KEY_NAMESPACE } from './keys.ts';
import { checkStructure, FRAME_BYTES } from './message-structure.ts';
import { SpentInput } from './spent-input.ts';
import { through } from './through.ts';

type RawAesKey = Extract<EnvelopeKey, { kind: 'raw-aes' }>;
type DecryptionRequest = Parameters<NodeDefaultCryptographicMaterialsManager['decryptMaterials']>[0];
type DecryptionMaterial = Awaited<ReturnType<NodeDefaultCryptographicMaterialsManager['decryptMaterials']>>;

const commitment = {
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: 1,
};
// The SDK's `client-node` is these two and the keyrings of KMS, whose client costs every process 14 MB.
const { encryptStream } = buildEncrypt(commitment);
const { decryptStream } = buildDecrypt(commitment);

/**
 * Encrypts a stream into one AWS Encryption SDK message that binds the context. The input's memory is freed as it
 * is enciphered: a chunk that ends where its memory ends is the last one that lies there.
 */
export async function* encryptMessage(
  input: AsyncIterable<Uint8Array>,
  key: RawAesKey,
  context: SealContext,
): AsyncGenerator<Buffer> {
  const encryptor = encryptStream(key.keyring, {
    suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
    frameLength: FRAME_BYTES,
    encryptionContext: toEncryptionContext(context),
  });
  const spent = new SpentInput();
  for await (const chunk of through(spent.watch(input), encryptor, (error) => error)) {
    spent.free(chunk.length);
    yield chunk;
  }
}

/**
 * Decrypts one message, frame by frame: bytes come out only after their frame was authenticated. Frees its input
 * as `encryptMessage` does.
 * `onDigest` hears the plaintext digest that the header names, before the first byte.
 *
 * @throws refused `WrongKey`; corrupt `WrongContext`, `SealBroken`, `SealTruncated`, `SealTrailing`, `NotSealed`
 */
export async function* decryptMessage(
  input: AsyncIterable<Uint8Array>,
  key: RawAesKey,
  context: SealContext,
  onDigest: (plaintextSha256: string | null) => void,
): AsyncGenerator<Uint8Array> {
  const materials = new CheckedMaterials(key, context, onDigest);
  const spent = new SpentInput();
  const decrypted = through(spent.watch(checkStructure(input)), decryptStream(materials), (error) => {
    return (
      materials.refusal ??
      corruptSeal('SealBroken', 'its authentication fails, so a byte of it was changed', error)
    );
  });
  for await (const chunk of decrypted) {
    spent.free(chunk.length);
    yield chunk;
  }
}

/**
 * The SDK's materials manager, which looks at key and context before it decrypts anything. At that
 * point the header is not authenticated yet; the SDK does it next, with the same context.
 */
class CheckedMaterials extends NodeDefaultCryptographicMaterialsManager {
  readonly #key: RawAesKey;
  readonly #context: SealContext;
  readonly #onDigest: (plaintextSha256: string | null) => void;
  #refusal: AppError | undefined;

  constructor(key: RawAesKey, context: SealContext, onDigest: (plaintextSha256: string | null) => void) {
    super(key.keyring);
    this.#key = key;
    this.#context = context;
    this.#onDigest = onDigest;
  }

  /** Why key or context were refused; the SDK's streams may report something else first. */
  get refusal(): AppError | undefined {
    return this.#refusal;
  }

  override async decryptMaterials(request: DecryptionRequest): Promise<DecryptionMaterial> {
    this.#refusal = this.#refusalOf(request);
    if (this.#refusal !== undefined) throw this.#refusal;
    const material = await super.decryptMaterials(request);
    this.#onDigest(plaintextDigestIn(request.encryptionContext));
    return material;
  }

  #refusalOf(request: DecryptionRequest): AppError | undefined {
    const [dataKey] = request.encryptedDataKeys;
    const provider = dataKey?.providerId ?? '';
    // The provider's information is the key's id, then lengths and nonce of the wrapped data key.
    const keyId = dataKey?.providerInfo.slice(0, this.#key.keyId.length) ?? '';
    if (provider !== RAW_KEY_NAMESPACE || keyId !== this.#key.keyId) {
      return wrongKey(provider, keyId, this.#key.keyId);
    }
    return contextMismatch(request.encryptionContext, this.#context);
  }
}

function wrongKey(provider: string, found: string, have: string): AppError {
  const sealedWith = provider === RAW_KEY_NAMESPACE ? printable(found) : printable(provider);
  return new AppError({
    code: 'WrongKey',
    kind: 'refused',
    message: `The object was sealed with key ${sealedWith}, and the key given is ${have}: it cannot be opened.`,
    hint: 'Give the key with which this repository was made (encryption.keyFile).',
    facts: { sealedWith, have },
  });
}

/** Text from a header that nobody has authenticated, made fit for a terminal. */
function printable(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
