// The observer: tells what changes in the page, as it changes, so that nobody has to ask.
//
// Part of the page agent, which hands it the pack's queries and its own ways of reading: what is told
// here is read exactly as a whole reading is. Looks only at rows that a change touches, never at the
// layout while a message is on its way, and touches nothing.
(agent) => {
  "use strict";
  const { Q, newestFirst } = agent;
  const OVERLAP = 20; // rows before the first changed one: what joins the window to what is known
  const MOST_ROWS = 400; // in one window; what is larger is read as a whole
  const MOST_CHARS = 2_000_000; // in one telling
  const MOST_DIRTY = 5_000; // nodes between two looks
  const BURST = 20; // looks that may follow each other at once
  const REST = 50; // ms from one look to the next after that
  const MARKERS = 300; // ms from a change to a look at the markers, which needs the layout
  const BUILD = Q.native ? 0 : 150; // ms for a row to be built: half a row without an id would be another message
  const BARE = 2_000; // ms from one look at a list without rows to the next
  const SETTLE = 100; // ms for a page to finish showing another conversation
  const ROOTS = 5_000; // ms between two looks for shadow roots that came without a change

  let observer = null;
  let watched = new Set();
  let dirty = new Set();
  let everything = false;
  let since = null;
  let later = null;
  let looks = BURST;
  let lookedAt = 0;
  let told = new Map();
  let opened = null;
  let marked = "";
  let markers = null;
  let wasBare = false;
  let roots = null;

  const now = () => performance.timeOrigin + performance.now();
  const tell = (news) => {
    let text = JSON.stringify(news);
    if (text.length > MOST_CHARS) text = '{"lagged":true}';
    globalThis.chatferryTell?.(text);
  };

  /** First and last place of the rows that the changed nodes lie in, are, or hold; null: none. */
  const touched = (rows) => {
    if (everything) return rows.length ? [0, rows.length - 1] : null;
    const places = new Map();
    for (let n = 0; n < rows.length; n++) places.set(rows[n], n);
    let first = Infinity, last = -1;
    const hit = (place) => { first = Math.min(first, place); last = Math.max(last, place); };
    for (const node of dirty) {
      let place;
      for (let at = node; at && place === undefined; at = at.parentNode ?? at.host) place = places.get(at);
      if (place !== undefined) hit(place);
      else if (node.nodeType === Node.ELEMENT_NODE && node.childElementCount > 0) {
        for (let n = 0; n < rows.length; n++) if (agent.isBelow(rows[n], node)) hit(n);
      }
    }
    return last < 0 ? null : [first, last];
  };

  /** The window of the conversation around what changed, oldest first, with the day that it begins in. */
  const threadNews = () => {
    const { plain, index, rows: merged } = agent.threadRows();
    if (newestFirst) merged.reverse();
    const range = touched(merged);
    if (!range) return null;
    const begin = everything ? Math.max(0, merged.length - OVERLAP) : Math.max(0, range[0] - OVERLAP);
    // One row further, so that what came in between stands between two that are known.
    const rows = merged.slice(begin, range[1] + 2);
    if (rows.length > MOST_ROWS) return "too much";
    if (Q.separator && begin > 0) {
      const messages = new Set(plain);
      for (let n = begin - 1; n >= 0 && messages.has(rows[0]); n--) if (!messages.has(merged[n])) { rows.unshift(merged[n]); break; }
    }
    return agent.readRows(rows, new Set(plain), index);
  };

  /** The rows of the list that say something else than they did. */
  const listNews = () => {
    const { rows } = agent.listRows();
    const range = touched(rows);
    if (!range) return null;
    const changed = [];
    for (const row of agent.readList(rows.slice(range[0], range[1] + 1)).rows) {
      const { id, digest, last_activity, unread } = row;
      const says = JSON.stringify([digest, last_activity, unread]);
      if (!id || told.get(id) === says) continue;
      told.set(id, says);
      changed.push(row);
    }
    return changed.length ? changed : null;
  };

  const look = () => {
    later = null;
    lookedAt = performance.now();
    agent.refresh();
    watchRoots();
    const open = agent.openedId();
    const moved = open !== opened;
    opened = open;
    const news = {};
    // While a page changes from one conversation to another its parts may speak of different ones.
    const thread = moved || !open ? null : threadNews();
    const list = listNews();
    if (thread === "too much") news.lagged = true;
    else if (thread) news.thread = thread;
    if (list) news.list = list;
    const at = since;
    dirty = new Set();
    everything = false;
    since = null;
    if (moved && open) setTimeout(lookAtAll, SETTLE);
    if (news.thread || news.list || news.lagged) tell({ at, ...news });
  };
  const lookAtAll = () => { if (observer) { everything = true; look(); } };

  /** At once, unless there were many looks of late: then a little later, for all that comes until then. */
  const soon = () => {
    if (later !== null) return;
    const rested = Math.floor((performance.now() - lookedAt) / REST);
    looks = Math.min(BURST, looks + rested);
    if (looks > 0 && BUILD === 0) { looks -= 1; look(); }
    else later = setTimeout(look, Math.max(BUILD, REST));
  };
  const lookAtMarkers = () => {
    markers = null;
    if (!observer) return;
    const glance = agent.glance();
    // A list that shows nothing it should, twice in a row: the page has become another one.
    const bare = !glance.loading && !glance.list_empty && agent.listRows().rows.length === 0;
    const lost = bare && wasBare;
    if (bare && !lost) markers = setTimeout(lookAtMarkers, BARE);
    wasBare = bare;
    const now = `${glance.login}${glance.challenge}${glance.locked}${lost}`;
    if (now === marked) return;
    marked = now;
    if (glance.login || glance.challenge || glance.locked || lost) tell({ markers: glance });
  };

  const note = (records) => {
    since ??= now();
    for (const { type, target, addedNodes } of records) {
      if (type !== "childList") dirty.add(target);
      else if (addedNodes.length) for (const node of addedNodes) dirty.add(node);
      else dirty.add(target);
    }
    if (dirty.size > MOST_DIRTY) { everything = true; dirty = new Set(); }
    markers ??= setTimeout(lookAtMarkers, MARKERS);
    soon();
  };
  const watch = (root) => {
    watched.add(root);
    observer.observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
  };
  /** A change below a shadow root is seen by nobody outside of it. */
  const watchRoots = () => {
    for (const root of agent.shadowRoots()) {
      if (watched.has(root)) continue;
      watch(root);
      everything = true;
    }
  };

  const observe = () => {
    unobserve();
    observer = new MutationObserver(note);
    watched = new Set();
    watch(document);
    told = new Map();
    marked = "";
    wasBare = false;
    opened = agent.openedId();
    everything = true;
    since = null;
    roots = setInterval(() => { agent.refresh(); const before = watched.size; watchRoots(); if (watched.size > before) look(); }, ROOTS);
    markers = setTimeout(lookAtMarkers, 0);
    look();
    return {};
  };
  const unobserve = () => {
    observer?.disconnect();
    observer = null;
    clearInterval(roots);
    clearTimeout(later);
    clearTimeout(markers);
    later = markers = null;
    return {};
  };
  return { observe, unobserve };
}
