import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from '../src/compare.js';

test('what differs is told by file and line', () => {
  const before = { a: 'one\ntwo\nthree', b: 'same', c: 'gone' };
  const after = { a: 'one\n2\nthree', b: 'same', d: 'new' };
  assert.deepEqual(compare(before, after), [
    { file: 'a', change: 'changed', diff: ' one\n-two\n+2\n three' },
    { file: 'c', change: 'removed', diff: '-gone' },
    { file: 'd', change: 'added', diff: '+new' },
  ]);
  const long = Array.from({ length: 40 }, (_, n) => `line ${n}`);
  const changed = long.with(20, 'another');
  assert.deepEqual(compare({ a: long.join('\n') }, { a: changed.join('\n') })[0].diff.split('\n').length, 9, 'three lines around it, and where it was cut');
});
