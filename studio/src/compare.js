// Line differences of what is not saved, in the unified format: what the server says of versions, said of this tab.
function longest(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) {
    table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  }
  return table;
}

function unified(before, after) {
  const lines = (text) => (text === undefined ? [] : text.split('\n'));
  const [a, b] = [lines(before), lines(after)];
  if (a.length * b.length > 4_000_000) return '(too long to be compared here)';
  const table = longest(a, b);
  const out = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) out.push(` ${a[i++]}`), j++;
    else if (j < b.length && (i === a.length || table[i][j + 1] > table[i + 1][j])) out.push(`+${b[j++]}`);
    else out.push(`-${a[i++]}`);
  }
  // Three lines around each change.
  const near = out.map((_, n) => out.slice(Math.max(0, n - 3), n + 4).some((line) => line[0] !== ' '));
  return out.flatMap((line, n) => (near[n] ? [line] : n > 0 && near[n - 1] ? ['@@'] : [])).join('\n');
}

export function compare(before, after) {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return paths.filter((path) => before[path] !== after[path]).map((path) => ({
    file: path,
    change: before[path] === undefined ? 'added' : after[path] === undefined ? 'removed' : 'changed',
    diff: unified(before[path], after[path]),
  }));
}
