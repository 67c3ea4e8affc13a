// What the studio reads in a template's files by itself, as they stand in the editor.

// The channels that `template.toml` names; the inbox, if it names none: those of a request that names none.
export function channelsOf(manifest = '') {
  const [, list = ''] = /^\s*channels\s*=\s*\[([^\]]*)\]/m.exec(manifest.replace(/#.*$/gm, '')) ?? [];
  const named = [...list.matchAll(/["'](\w+)["']/g)].map(([, channel]) => channel);
  return named.length > 0 ? named : ['inbox'];
}

// The language that a file is of, as its path says: `de/sms.txt`, `messages/de.toml`. Whether the template has it the server knows.
export function languageOf(path) {
  const [folder, name] = path.split('/');
  if (!name || folder === 'samples') return null;
  return folder === 'messages' ? name.replace(/\.toml$/, '') : folder;
}
