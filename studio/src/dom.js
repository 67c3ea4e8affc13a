// Elements, made in one line each. Text is always text: nothing here takes HTML.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Puts other children in the place of these.
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A dialog over the page, closed by Escape, the button or the answer of `act`. Enter in its field is its last button.
export function dialog(title, body, actions, leave = 'Cancel') {
  const close = () => box.close();
  const says = h('p', { class: 'says', role: 'alert' });
  const buttons = actions.map(({ label, kind, disabled, act }) =>
    h('button', { type: 'button', class: kind ?? '', disabled, onclick: async (event) => {
      event.target.disabled = true;
      try {
        if ((await act()) !== false) close();
      } catch (problem) {
        says.textContent = problem.message;
      }
      event.target.disabled = false;
    } }, label));
  const box = h('dialog', { class: 'ask', 'aria-label': title, onclose: () => box.remove() },
    h('header', { role: 'none' }, h('h2', {}, title), h('button', { type: 'button', class: 'quiet', onclick: close, 'aria-label': 'Close' }, '✕')),
    h('form', { onsubmit: (event) => { event.preventDefault(); buttons.at(-1)?.click(); } },
      h('div', { class: 'body' }, body, says),
      h('footer', { role: 'none' }, h('button', { type: 'button', onclick: close }, leave), buttons)));
  document.getElementById('main').append(box);
  box.showModal();
  return box;
}
