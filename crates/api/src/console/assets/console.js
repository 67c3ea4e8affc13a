// What the console's pages do beyond forms and links. They work without it, but for what is live.
'use strict';

// Times are written by the server in UTC, and shown here in the reader's own zone.
const clock = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });
const fineClock = new Intl.DateTimeFormat('sv-SE', { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });
function localise(root) {
  for (const time of root.querySelectorAll('time[datetime]:not([title])')) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    time.title = time.dateTime;
    time.textContent = (time.hasAttribute('data-fine') ? fineClock : clock).format(at).replace(',', '.');
  }
}

// A field that sends its form when it changes.
document.addEventListener('change', (event) => {
  if (event.target.matches('[data-submits]')) event.target.form.requestSubmit();
});

// A field with offers: it is begun anew when somebody comes to it, and what they take of the offers is opened.
document.addEventListener('focusin', (event) => {
  if (event.target.matches('[data-picks]')) event.target.select();
});
document.addEventListener('input', (event) => {
  const field = event.target;
  if (!field.matches('[data-picks]') || event.inputType?.startsWith('insertText')) return;
  if ([...field.list.options].some((option) => option.value === field.value)) field.form.requestSubmit();
});

// A box that ticks all boxes of its form.
document.addEventListener('change', (event) => {
  if (!event.target.matches('[data-ticks]')) return;
  for (const box of document.getElementsByName(event.target.dataset.ticks)) box.checked = event.target.checked;
});

// Of several renderings one is shown: its button is pressed.
document.addEventListener('click', (event) => {
  const tab = event.target.closest('[data-tab]');
  if (!tab) return;
  for (const other of tab.parentElement.querySelectorAll('[data-tab]')) other.setAttribute('aria-pressed', other === tab);
});

// What cannot be undone is asked for once more.
document.addEventListener('submit', (event) => {
  const question = event.submitter?.dataset.asks ?? event.target.dataset.asks;
  if (question && !window.confirm(question)) event.preventDefault();
});

// What is shown live says so when it is not. Who was signed out is led to the door.
const stale = document.getElementById('stale');
document.addEventListener('htmx:sse:error', (event) => {
  if (event.detail.status === 401) location.reload();
  else if (stale) stale.hidden = false;
});
document.addEventListener('htmx:sse:after:message', () => {
  if (stale) stale.hidden = true;
});

// Its first connection is a request like any other, which the library does not repeat. So it is repeated here: a page that was opened
// just as the server went away says so, and comes to itself again.
function connectAgain(event) {
  const { ctx } = event.detail;
  const live = ctx?.sourceElement;
  if (!live?.hasAttribute('hx-sse:connect') || ctx.response?.status < 400) return;
  event.preventDefault();
  if (ctx.response?.status === 401) location.reload();
  if (stale) stale.hidden = false;
  const again = () => live.isConnected && htmx.ajax('GET', live.getAttribute('hx-sse:connect'), { source: live });
  setTimeout(again, 1000 + 1000 * Math.random());
}
document.addEventListener('htmx:error', connectAgain);
document.addEventListener('htmx:before:response', connectAgain);

// `stentor dev` prints a link with the key behind the #, which browsers send to nobody.
function knock() {
  const door = document.querySelector('[data-door]');
  if (!door || !location.hash.startsWith('#stn_oper_')) return;
  door.elements.key.value = location.hash.slice(1);
  history.replaceState(null, '', location.pathname + location.search);
  door.requestSubmit();
}
knock();
window.addEventListener('hashchange', knock);

// On a phone the navigation is a strip: it begins where the page is.
document.querySelector('.rail [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' });

localise(document);
document.addEventListener('htmx:after:swap', () => localise(document));
