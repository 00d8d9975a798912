import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate and its private key, as PEM text. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs certificates. */
export interface Authority {
  readonly cert: string;
  /** Signs a certificate for names and addresses of hosts; valid now unless `validity` says otherwise. */
  issue(hosts: readonly string[], validity?: 'now' | 'expired'): Certificate;
}

const DAY_MS = 24 * 3600 * 1000;
const OIDS = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  subjectAltName: '551d11',
  subjectKeyIdentifier: '551d0e',
  authorityKeyIdentifier: '551d23',
} as const;

/** Makes a fresh authority. Written by hand (X.509, RFC 5280), because Node can read certificates and not make them. */
export function makeAuthority(name: string): Authority {
  const { privateKey, publicKey } = pair();
  const own = { name, key: privateKey, keyId: keyIdOf(publicKey) };
  const cert = certificate({ subject: name, publicKey, issuer: own, hosts: null, validity: 'now' });
  return {
    cert,
    issue(hosts, validity = 'now') {
      const leaf = pair();
      const subject = `${name} server`;
      const signed = certificate({ subject, publicKey: leaf.publicKey, issuer: own, hosts, validity });
      return {
        cert: signed,
        key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

interface Request {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly issuer: { readonly name: string; readonly key: KeyObject; readonly keyId: Buffer };
  /** Null for an authority. */
  readonly hosts: readonly string[] | null;
  readonly validity: 'now' | 'expired';
}

function pair(): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function certificate({ subject, publicKey, issuer, hosts, validity }: Request): string {
  const now = Date.now();
  const [from, to] =
    validity === 'now' ? [now - DAY_MS, now + 30 * DAY_MS] : [now - 30 * DAY_MS, now - DAY_MS];
  const algorithm = sequence(oid(OIDS.ecdsaWithSha256));
  const body = sequence(
    tag(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    nameOf(issuer.name),
    sequence(time(from), time(to)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tag(0xa3, sequence(...extensions(publicKey, issuer.keyId, hosts))),
  );
  const signature = sign('sha256', body, issuer.key);
  return pem(sequence(body, algorithm, tag(0x03, Buffer.from([0]), signature)));
}

function extensions(publicKey: KeyObject, issuerKeyId: Buffer, hosts: readonly string[] | null): Buffer[] {
  const ids = [
    extension(OIDS.subjectKeyIdentifier, tag(0x04, keyIdOf(publicKey))),
    extension(OIDS.authorityKeyIdentifier, sequence(tag(0x80, issuerKeyId))),
  ];
  if (hosts !== null) return [extension(OIDS.subjectAltName, sequence(...hosts.map(hostName))), ...ids];
  return [
    extension(OIDS.basicConstraints, sequence(tag(0x01, Buffer.from([0xff]))), 'critical'),
    // A bit string: keyCertSign and cRLSign.
    extension(OIDS.keyUsage, tag(0x03, Buffer.from([1, 0x06])), 'critical'),
    ...ids,
  ];
}

function extension(id: string, value: Buffer, weight: 'critical' | 'usual' = 'usual'): Buffer {
  const critical = weight === 'critical' ? [tag(0x01, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...critical, tag(0x04, value));
}

/** dNSName or, for an IPv4 address, iPAddress. */
function hostName(host: string): Buffer {
  const isAddress = /^[0-9.]+$/.test(host);
  return isAddress ? tag(0x87, Buffer.from(host.split('.').map(Number))) : tag(0x82, Buffer.from(host));
}

function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

function nameOf(commonName: string): Buffer {
  return sequence(tag(0x31, sequence(oid(OIDS.commonName), tag(0x0c, Buffer.from(commonName)))));
}

/** UTCTime: `YYMMDDHHMMSSZ`. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return tag(0x17, Buffer.from(`${text}Z`));
}

function integer(bytes: Buffer): Buffer {
  return tag(0x02, bytes);
}

function oid(hex: string): Buffer {
  return tag(0x06, Buffer.from(hex, 'hex'));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tag(0x30, ...parts);
}

/** DER: a tag, the length, the contents. */
function tag(number: number, ...parts: readonly Buffer[]): Buffer {
  const contents = Buffer.concat(parts);
  const digits = contents.length.toString(16);
  const bytes = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  const length = contents.length < 128 ? bytes : Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
  return Buffer.concat([Buffer.from([number]), length, contents]);
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
