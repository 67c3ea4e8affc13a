import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meter } from '../src/sms.js';

test('segments are counted as the networks count them', () => {
  const of = (text) => { const m = meter(text); return [m.encoding, m.segments, m.used]; };
  assert.deepEqual(of('a'.repeat(160)), ['GSM-7', 1, 160]);
  assert.deepEqual(of('a'.repeat(161)), ['GSM-7', 2, 8]);
  assert.deepEqual(of('€'.repeat(80)), ['GSM-7', 1, 160]);
  assert.deepEqual(of('a'.repeat(152) + '€'), ['GSM-7', 1, 154]);
  assert.deepEqual(of('a'.repeat(152) + '€' + 'a'.repeat(10)), ['GSM-7', 2, 12], 'no boundary parts an escaped character');
  assert.deepEqual(of('你'.repeat(70)), ['UCS-2', 1, 70]);
  assert.deepEqual(of('你'.repeat(71)), ['UCS-2', 2, 4]);
  assert.equal(meter('ok – no').culprit, '–');
});
