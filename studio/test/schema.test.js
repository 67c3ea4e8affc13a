import assert from 'node:assert/strict';
import { test } from 'node:test';
import { offers } from '../src/schema.js';

const SCHEMA = { properties: { name: { type: 'string' }, stories: { type: 'array', items: { properties: { title: { type: 'string' } } } } } };
const told = (before) => offers(SCHEMA, before).map(({ label, after }) => label + after);

test('what may follow the beginning of a tag, and what a choice adds behind itself', () => {
  assert.deepEqual(told('{{').filter((text) => !text.startsWith('recipient')), [
    'name}}', 'stories}}', 'title}}', 'app.name}}', 'money ', 'number ', 'date ', 'relative ', 'phone ', 't ', 'else}}',
  ]);
  assert.deepEqual(told('{{#'), ['if ', 'unless ', 'each ', 'with ']);
  assert.deepEqual(told('{{/'), ['if}}', 'unless}}', 'each}}', 'with}}']);
  // Behind a helper or a block there are values alone.
  for (const before of ['{{money ', '{{#each st', '{{#if ']) assert.deepEqual(told(before).slice(0, 2), ['name}}', 'stories}}']);
});
