import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelsOf, languageOf } from '../src/manifest.js';

test('the channels are those that template.toml names, however it is laid out, or else the inbox', () => {
  assert.deepEqual(channelsOf('title = "No. #1"\nchannels = ["inbox", "email"]\ndefault_locale = "en"\n'), ['inbox', 'email']);
  assert.deepEqual(channelsOf("# channels = [\"inbox\"]\n  channels = [\n  'sms', # not \"email\" yet\n]\nlocales = [\"en\"]"), ['sms']);
  for (const none of [undefined, 'title = "One"', 'channels = []', '# channels = ["sms"]']) assert.deepEqual(channelsOf(none), ['inbox']);
});

test('the path of a file says its language, if it is of one', () => {
  assert.deepEqual(['de/content.md', 'zh-CN/sms.txt', 'messages/de.toml'].map(languageOf), ['de', 'zh-CN', 'de']);
  assert.deepEqual(['template.toml', 'schema.json', 'samples/example.json'].map(languageOf), [null, null, null]);
});
