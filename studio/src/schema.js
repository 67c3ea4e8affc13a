// What schema.json says: the names to offer in the editor, and a form to change the data.
import { h, fill } from './dom.js';

function resolved(schema, root) {
  let part = schema ?? {};
  for (let steps = 0; part.$ref && steps < 16; steps++) {
    const [, where, name] = /^#\/(\$defs|definitions)\/(.+)$/.exec(part.$ref) ?? [];
    part = root?.[where]?.[name] ?? {};
  }
  return part;
}

function kind(schema) {
  const type = Array.isArray(schema.type) ? schema.type.find((t) => t !== 'null') : schema.type;
  return type ?? (schema.properties ? 'object' : schema.items ? 'array' : schema.enum ? 'string' : 'any');
}

// The variables of a schema, for the editor: `amount`, `amount.value`; below a list, the fields of its items.
export function variables(root) {
  const found = [];
  const walk = (schema, prefix, depth) => {
    const part = resolved(schema, root);
    for (const [name, field] of Object.entries(part.properties ?? {})) {
      const inner = resolved(field, root);
      const label = prefix ? `${prefix}.${name}` : name;
      found.push({ label, type: 'variable', detail: kind(inner), info: inner.description });
      if (depth < 4) walk(inner, label, depth + 1);
      if (kind(inner) === 'array' && depth < 4) walk(inner.items, '', depth + 1);
    }
  };
  walk(root, '', 0);
  return [...found, { label: 'app.name', type: 'variable' }, { label: 'recipient.id', type: 'variable' }];
}

const BLOCKS = ['if', 'unless', 'each', 'with'];
const WRITERS = ['money', 'number', 'date', 'relative', 'phone', 't'];

// What may follow `before`, the beginning of a tag up to the cursor. `after` is what a choice adds behind itself: a space where a
// value must follow, the end of the tag where nothing need.
export function offers(root, before) {
  const [, sign, first] = /^\{\{([#/]?)([\w.]*\s)?/.exec(before);
  const word = (after) => (label) => ({ label, type: 'keyword', boost: -1, after });
  if (sign === '/') return BLOCKS.map(word('}}'));
  if (sign === '#' && !first) return BLOCKS.map(word(' '));
  const values = variables(root).map((value) => ({ ...value, after: '}}' }));
  return first ? values : [...values, ...WRITERS.map(word(' ')), word('}}')('else')];
}

// The least that a schema takes, where that can be said.
export function empty(schema, root) {
  const part = resolved(schema, root);
  if (part.default !== undefined) return part.default;
  if (part.enum) return part.enum[0];
  const now = new Date().toISOString();
  const formats = { date: now.slice(0, 10), 'date-time': now, email: 'ada@example.com', uri: 'https://example.com' };
  if (formats[part.format]) return formats[part.format];
  switch (kind(part)) {
    case 'object': return Object.fromEntries((part.required ?? []).map((name) => [name, empty(part.properties?.[name], root)]));
    case 'array': return [];
    case 'number': case 'integer': return 0;
    case 'boolean': return false;
    default: return '';
  }
}

// A form for `data`; `changed(data)` is called with a changed copy.
export function form(root, data, changed) {
  let count = 0;
  const at = (value, path) => path.reduce((v, step) => v?.[step], value);
  const set = (path, value) => {
    const copy = structuredClone(data);
    let part = copy;
    for (const step of path.slice(0, -1)) part = part[step] ??= {};
    const last = path[path.length - 1];
    if (value === undefined && !Array.isArray(part)) delete part[last];
    else if (value === undefined) part.splice(last, 1);
    else part[last] = value;
    data = copy;
    changed(copy);
  };
  const field = (schema, path, name, required) => {
    const part = resolved(schema, root);
    const value = at(data, path);
    const id = `data-${count++}`;
    const label = h('label', { for: id }, name, required ? '' : h('span', { class: 'soft' }, ' (optional)'));
    const hint = part.description ? h('small', { class: 'soft', id: `${id}-hint` }, part.description) : null;
    const described = hint ? { 'aria-describedby': `${id}-hint` } : {};
    const given = (input) => h('div', { class: 'field' }, label, input, hint);
    const optional = (text, make) => (text === '' && !required ? undefined : make(text));
    if (part.enum) {
      const choices = part.enum.map((choice) => h('option', { value: String(choice), selected: choice === value }, String(choice)));
      const none = required ? [] : [h('option', { value: '', selected: value === undefined }, '—')];
      return given(h('select', { id, ...described, onchange: (e) => set(path, optional(e.target.value, (text) => part.enum.find((c) => String(c) === text))) }, none, choices));
    }
    switch (kind(part)) {
      case 'object': {
        const inner = Object.entries(part.properties ?? {}).map(([n, s]) => field(s, [...path, n], n, (part.required ?? []).includes(n)));
        return h('fieldset', {}, h('legend', {}, name), inner);
      }
      case 'array': {
        const list = h('div', { class: 'items' });
        // Who works with the keyboard stays where something happened.
        const settle = (items) => { draw(); ([...list.querySelectorAll(':scope > .item')][items]?.querySelector('input, select') ?? list.lastElementChild).focus(); };
        const draw = () => {
          const items = at(data, path) ?? [];
          fill(list, items.map((_, i) => h('div', { class: 'item' }, field(part.items, [...path, i], `${i + 1}`, true),
            h('button', { type: 'button', class: 'quiet', 'aria-label': `Remove ${name} ${i + 1}`, onclick: () => { set([...path, i], undefined); settle(-1); } }, 'Remove'))),
          h('button', { type: 'button', onclick: () => { set(path, [...(at(data, path) ?? []), empty(part.items, root)]); settle(items.length); } }, `Add to ${name}`));
        };
        draw();
        return h('fieldset', {}, h('legend', {}, name), list);
      }
      case 'boolean':
        return h('div', { class: 'field' }, h('label', { class: 'inline', for: id }, h('input', { id, type: 'checkbox', checked: value === true, ...described, onchange: (e) => set(path, e.target.checked) }), name), hint);
      case 'number': case 'integer':
        return given(h('input', { id, type: 'number', step: kind(part) === 'integer' ? '1' : 'any', value: value ?? '', ...described, oninput: (e) => set(path, optional(e.target.value, Number)) }));
      default: {
        const type = { date: 'date', email: 'email', uri: 'url' }[part.format] ?? 'text';
        return given(h('input', { id, type, value: typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value), ...described, oninput: (e) => set(path, optional(e.target.value, String)) }));
      }
    }
  };
  const top = resolved(root, root);
  const fields = Object.entries(top.properties ?? {}).map(([name, schema]) => field(schema, [name], name, (top.required ?? []).includes(name)));
  return h('div', { class: 'form' }, fields.length > 0 ? fields : h('p', { class: 'soft' }, 'schema.json describes no fields.'));
}
