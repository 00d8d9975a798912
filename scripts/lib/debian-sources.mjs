import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * The Debian mirror and keyring that this system's own apt uses.
 * Gives back `{ mirror, signedBy }`, or null where it uses none. @param folder `/etc/apt`
 */
export function debianMirror(folder = '/etc/apt') {
  for (const text of sourceTexts(folder)) {
    for (const source of [...oneLineSources(text), ...stanzaSources(text)]) {
      if (isMainArchive(source.mirror))
        return { mirror: source.mirror, signedBy: source.signedBy ?? KEYRING };
    }
  }
  return null;
}

function sourceTexts(folder) {
  const parts = join(folder, 'sources.list.d');
  const names = existsSync(parts)
    ? readdirSync(parts)
        .sort()
        .map((name) => join(parts, name))
    : [];
  return [join(folder, 'sources.list'), ...names]
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .map((path) => readFileSync(path, 'utf8'));
}

/** sources.list(5), one-line style: `deb [signed-by=/key] URI suite component` */
function oneLineSources(text) {
  return [...text.matchAll(/^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s/gm)].map(([, options = '', mirror]) => ({
    mirror,
    signedBy: /signed-by=(\/\S+)/i.exec(options)?.[1],
  }));
}

/** sources.list(5), deb822 style: stanzas of `Field: value`, comments may stand between the fields. */
function stanzaSources(text) {
  return text
    .split(/\n\s*\n/)
    .filter(
      (stanza) => /^Types:(?:.*\s)?deb(?:\s|$)/m.test(stanza) && !/^Enabled:\s*(no|false)/im.test(stanza),
    )
    .flatMap((stanza) => {
      const uris = /^URIs:\s*(.+)$/m.exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
      const signedBy = /^Signed-By:\s*(\/\S+)$/m.exec(stanza)?.[1];
      return uris.map((mirror) => ({ mirror, signedBy }));
    });
}

/** `…/debian` is the archive; `…/debian-security` and others hold parts. */
function isMainArchive(uri) {
  return /\/debian\/?$/.test(uri);
}
