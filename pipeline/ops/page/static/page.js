'use strict';
// Keeps an open page current, and sends its forms without loading it again. Without this script the page is of use too.
(() => {
  const body = document.body, by = (id) => document.getElementById(id);
  const title = document.title;
  let unseen = 0;

  // patch makes an element like another one, and leaves alone what is alike: what is focused, open or typed stays.
  const patch = (old, now) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && name !== 'open' && name !== 'class') old.removeAttribute(name);
    }
    for (const { name, value } of [...now.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, now);
  };

  const alike = (a, b) => a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || '') === (b.id || '');

  const children = (old, now) => {
    const byId = new Map([...old.children].filter((c) => c.id).map((c) => [c.id, c]));
    let at = old.firstChild;
    for (const want of [...now.childNodes]) {
      const has = want.id ? byId.get(want.id) : alike(at, want) ? at : null;
      if (!has) {
        old.insertBefore(want, at);
        arrived(want);
      } else if (has === at) {
        at = at.nextSibling;
        patch(has, want);
      } else {
        old.insertBefore(has, at);
        patch(has, want);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  // arrived marks a row that was not there.
  let news = [];
  const arrived = (node) => {
    if (node.nodeType === Node.ELEMENT_NODE && node.matches('#rows > tr')) {
      node.classList.add('new');
      news.push(node);
    }
  };

  const show = (element, html) => {
    const t = document.createElement('template');
    t.innerHTML = html;
    news = [];
    children(element, t.content);
    if (news.length === 0) return;
    const first = news[0].querySelector('.title');
    by('said').textContent = news.length === 1 && first ? `New deal: ${first.textContent}` : `${news.length} new deals`;
    if (document.hidden) document.title = `(${(unseen += news.length)}) ${title}`;
  };

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    unseen = 0;
    document.title = title;
  });

  const state = (text) => { by('state').textContent = text; };

  const follow = () => {
    const events = new EventSource(body.dataset.events);
    events.addEventListener('open', () => state('live'));
    events.addEventListener('error', () => state('not live: reconnecting'));
    events.addEventListener('hello', (e) => {
      // The forms of a page of an earlier process are no longer accepted.
      if (e.data !== body.dataset.epoch) location.reload();
    });
    events.addEventListener('fragment', (e) => show(by('fragment'), e.data));
    events.addEventListener('pulse', (e) => show(by('pulse'), e.data));
    window.addEventListener('pagehide', () => events.close());
    window.addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
  };
  if (body.dataset.events) follow();

  // A button of a deal does its work without loading the page.
  document.addEventListener('submit', (e) => {
    const form = e.target;
    if (form.getAttribute('method') !== 'post') return;
    e.preventDefault();
    const data = new URLSearchParams(new FormData(form, e.submitter));
    data.set('quiet', '1');
    fetch(form.action, { method: 'POST', body: data })
      .then((r) => r.text())
      .then((html) => {
        by('notice').innerHTML = html;
        for (const open of document.querySelectorAll('.do details[open]')) open.open = false;
      })
      .catch(() => { by('notice').textContent = 'Nothing was done: Ratchet does not answer.'; });
  });

  // A choice of the filter shows at once.
  document.addEventListener('change', (e) => {
    if (e.target.matches('.filter select')) e.target.form.requestSubmit();
  });

  // A slider moves its number, and what would change is shown at once; the address follows, so that it can be kept.
  for (const slider of document.querySelectorAll('.knobs input[type=range]')) slider.hidden = false;
  let asks = 0;
  const ask = (form) => {
    const to = `${form.getAttribute('action')}?${new URLSearchParams(new FormData(form))}`;
    const mine = ++asks;
    fetch(to).then((r) => r.text()).then((html) => {
      const now = new DOMParser().parseFromString(html, 'text/html').getElementById('answer');
      if (mine !== asks || !now) return;
      history.replaceState(null, '', to);
      by('answer').replaceChildren(...now.childNodes);
      by('said').textContent = by('answer').querySelector('dd')?.textContent || '';
    }).catch(() => {});
  };
  let soon = 0;
  document.addEventListener('input', (e) => {
    const form = e.target.closest('.knobs');
    if (!form) return;
    const other = e.target.dataset.for ? by(e.target.dataset.for) : form.querySelector(`[data-for="${e.target.id}"]`);
    if (other) other.value = e.target.value;
    clearTimeout(soon);
    soon = setTimeout(() => ask(form), 150);
  });

  // j and k go from deal to deal, / to the search.
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches('input, select, textarea')) return;
    if (e.key === '/') {
      e.preventDefault();
      by('find').focus();
      return;
    }
    const step = { j: 1, k: -1 }[e.key];
    if (!step) return;
    const titles = [...document.querySelectorAll('#rows .title')];
    const at = titles.indexOf(document.activeElement) + step;
    titles[Math.max(0, Math.min(titles.length - 1, at))]?.focus();
  });
})();
