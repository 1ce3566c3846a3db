// The page agent: everything chatferry ever does inside a page.
//
// Evaluated once per document in an isolated world: the page's own scripts can neither see nor change
// it. The pack is its data. Every answer is one JSON string, because one long string crosses the
// DevTools socket faster than an object does. Nothing here sends, posts or fetches anything, and
// nothing is clicked but what the pack names for logging in, opening a conversation, or loading more.
(pack, observing) => {
  "use strict";
  if (globalThis.chatferry) return;
  const BLOCKS = "br,p,div,li,pre,blockquote,tr,h1,h2,h3,h4,h5,h6,img[alt]";
  const BLOCK_TAGS = new Set(["P", "DIV", "LI", "PRE", "BLOCKQUOTE", "TR", "UL", "OL", "H1", "H2", "H3", "H4", "H5", "H6"]);

  // ---- finding -----------------------------------------------------------------------------------

  // Looking at every element for a shadow root costs as much as reading the messages. Most pages have
  // none: there only what was inserted since is looked at, and everything again after a while, because
  // a root can be attached to an element that was there before.
  const LOOK_AGAIN = 1000; // ms
  const MOST_INSERTED = 1000; // nodes to keep; beyond that everything is looked at
  let inserted = [];
  let noneSince = -Infinity;
  const note = (records) => {
    for (const { addedNodes } of records) {
      if (inserted.length + addedNodes.length > MOST_INSERTED) { inserted = []; noneSince = -Infinity; }
      if (noneSince > -Infinity) for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) inserted.push(node);
    }
  };
  const insertions = new MutationObserver(note);
  insertions.observe(document, { subtree: true, childList: true });
  const findRoots = (root, found) => {
    const elements = root.querySelectorAll("*");
    for (let n = 0; n < elements.length; n++) {
      const { shadowRoot } = elements[n];
      if (shadowRoot) {
        found.push(shadowRoot);
        findRoots(shadowRoot, found);
      }
    }
    return found;
  };
  const hasRoot = (element) => element.shadowRoot !== null || findRoots(element, []).length > 0;

  /** Open shadow roots below the document; the same within one call. */
  let shadows = null;
  const shadowRoots = () => {
    if (shadows) return shadows;
    note(insertions.takeRecords());
    const now = performance.now();
    const isKnown = now - noneSince < LOOK_AGAIN && !inserted.some(hasRoot);
    inserted = [];
    if (isKnown) return (shadows = []);
    shadows = findRoots(document, []);
    noneSince = shadows.length ? -Infinity : now;
    return shadows;
  };
  /** True if a node lies below scope, through shadow borders. */
  const isBelow = (node, scope) => {
    for (let at = node; at; at = at.parentNode ?? at.host) if (at === scope) return true;
    return false;
  };
  const cssFirst = (css, scope) => {
    const found = scope.querySelector(css);
    if (found) return found;
    for (const root of shadowRoots()) {
      if (!isBelow(root, scope)) continue;
      const deep = root.querySelector(css);
      if (deep) return deep;
    }
    return null;
  };
  const cssAll = (css, scope) => {
    const found = Array.from(scope.querySelectorAll(css));
    for (const root of shadowRoots()) if (isBelow(root, scope)) found.push(...root.querySelectorAll(css));
    return found;
  };
  const xpathAll = (xpath, scope) => {
    const result = document.evaluate(xpath, scope, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
    const found = [];
    for (let i = 0; i < result.snapshotLength; i++) {
      const node = result.snapshotItem(i);
      if (node.nodeType === Node.ELEMENT_NODE) found.push(node);
    }
    return found;
  };
  const textAll = (text, scope) =>
    cssAll("*", scope).filter((element) => element.textContent.trim() === text && ![...element.children].some((child) => child.textContent.trim() === text));

  /** The text of an element: `<br>` and blocks as line breaks, pictures as their alt. */
  const textOf = (element) => {
    if (element.childElementCount === 0 || !element.querySelector(BLOCKS)) return element.textContent.trim();
    let text = "";
    const fresh = () => { if (text && !text.endsWith("\n")) text += "\n"; };
    const walk = (node) => {
      for (const child of node.childNodes) {
        if (child.nodeType === Node.TEXT_NODE) text += child.data;
        else if (child.nodeType === Node.ELEMENT_NODE) {
          if (child.tagName === "BR") text += "\n";
          else if (child.tagName === "IMG") text += child.alt;
          else if (BLOCK_TAGS.has(child.tagName)) { fresh(); walk(child); fresh(); }
          else walk(child);
        }
      }
    };
    walk(element);
    return text.trim();
  };

  /** A selector of the row itself and nothing else: no element below it can match. */
  const OWN_ONLY = /^:scope(?:[.#][\w-]+|\[[\w-]+(?:[~|^$*]?=(?:[\w-]+|"[^"\\]*"|'[^'\\]*'))?\])*$/;

  /** One alternative as two functions: `first(scope)` and `all(scope)` give elements, `value(el)` a string or null. */
  const compileAlternative = (alternative) => {
    const { css, xpath, text, attr, regex, read } = alternative;
    const self = css === undefined && xpath === undefined && text === undefined;
    const own = css !== undefined && css.includes(":scope");
    const pattern = regex === undefined ? null : new RegExp(regex, "u");
    let first, all;
    if (self) {
      first = (scope) => scope;
      all = (scope) => [scope];
    } else if (own && OWN_ONLY.test(css)) {
      first = (scope) => (scope.matches ? (scope.matches(css) ? scope : null) : cssFirst(css, scope));
      all = (scope) => (scope.matches ? (scope.matches(css) ? [scope] : []) : cssAll(css, scope));
    } else if (own) {
      // `:scope` means the row itself, which querySelector never returns.
      first = (scope) => (scope.matches?.(css) ? scope : cssFirst(css, scope));
      all = (scope) => (scope.matches?.(css) ? [scope] : cssAll(css, scope));
    } else if (css !== undefined) {
      // A row that is itself what it should hold: `.own` for a row of that class.
      first = (scope) => cssFirst(css, scope) ?? (scope.matches?.(css) ? scope : null);
      all = (scope) => {
        const found = cssAll(css, scope);
        return found.length === 0 && scope.matches?.(css) ? [scope] : found;
      };
    } else if (xpath !== undefined) {
      all = (scope) => xpathAll(xpath, scope);
      first = (scope) => all(scope)[0] ?? null;
    } else {
      all = (scope) => textAll(text, scope);
      first = (scope) => all(scope)[0] ?? null;
    }
    const raw = attr !== undefined
      ? (element) => element.getAttribute?.(attr) ?? null
      : read === "visible" ? (element) => (element.innerText ?? element.textContent ?? "").trim() : textOf;
    const value = pattern === null ? raw : (element) => {
      const whole = raw(element);
      const match = whole === null ? null : pattern.exec(whole);
      return match ? (match[1] ?? match[0]) : null;
    };
    // Rows are found by their place alone; reading the text of each only to see that there is one
    // would cost more than all the rest.
    const always = attr === undefined && pattern === null;
    const isThere = always ? () => true : (element) => value(element) !== null;
    return { first, all, value, isThere, plain: always && !own && xpath === undefined ? css : undefined };
  };
  const compile = (query) => (query ? query.any.map(compileAlternative) : null);

  /** The elements of the first alternative that matches anything with a value. */
  const allOf = (query, scope) => {
    for (let i = 0; i < query.length; i++) {
      const every = query[i].all(scope);
      const found = query[i].plain === undefined ? every.filter(query[i].isThere) : every;
      if (found.length) return { found, index: i };
    }
    return { found: [], index: -1 };
  };
  const firstOf = (query, scope) => {
    if (!query) return null;
    for (const alternative of query) {
      const element = alternative.first(scope);
      if (element && alternative.isThere(element)) return element;
    }
    return null;
  };
  const isShown = (element) => !!element && element.getClientRects().length > 0;
  /** A marker counts only where a person could see it. */
  const sees = (query) => !!query && query.some((alternative) => alternative.all(document).some((element) => alternative.isThere(element) && isShown(element)));
  const has = (query, row) => firstOf(query, row) !== null;

  /** Counts which alternative supplied a field, over all rows of a reading. */
  const field = (query) => {
    const counts = query ? new Array(query.length).fill(0) : [];
    let missing = 0;
    const size = query ? query.length : 0;
    return {
      read(row) {
        for (let i = 0; i < size; i++) {
          const element = query[i].first(row);
          if (element === null) continue;
          const value = query[i].value(element);
          if (value !== null) { counts[i]++; return value; }
        }
        missing++;
        return undefined;
      },
      report: () => ({ by_alternative: counts, missing }),
    };
  };

  // ---- the pack, compiled once ---------------------------------------------------------------------

  const { pages, login, conversations, messages } = pack;
  const compileScroll = (scroll) => scroll && {
    container: compile(scroll.container), more: compile(scroll.more), loading: compile(scroll.loading), end: compile(scroll.end),
    up: scroll.toward === "up", clickMore: scroll.click_more, virtualised: scroll.virtualised, wait: scroll.wait_ms,
  };
  const Q = {
    login: compile(pages.login), loading: compile(pages.loading),
    list: compile(pages.list.positive), listEmpty: compile(pages.list.empty),
    thread: compile(pages.thread.positive), threadEmpty: compile(pages.thread.empty),
    loggedIn: compile(login.outcomes.logged_in), bad: compile(login.outcomes.bad_credentials),
    challenge: compile(login.outcomes.challenge), locked: compile(login.outcomes.locked), captcha: compile(login.outcomes.captcha),
    oneTimeCode: compile(login.outcomes.one_time_code), passwordChange: compile(login.outcomes.password_change),
    row: compile(conversations.row), skip: compile(conversations.skip), id: compile(conversations.id), title: compile(conversations.title),
    activity: compile(conversations.last_activity), unread: compile(conversations.unread),
    openClick: compile(conversations.open.click), opened: compile(conversations.opened.at),
    message: compile(messages.row), notMessage: compile(messages.skip), native: compile(messages.native_id), author: compile(messages.author),
    own: compile(messages.direction.own), text: compile(messages.text), sentAt: compile(messages.sent_at?.at),
    separator: compile(messages.separator?.row), date: compile(messages.separator?.date), attachments: compile(messages.attachments),
  };
  const scrolls = { list: compileScroll(conversations.scroll), history: compileScroll(pack.history) };

  // ---- reading -------------------------------------------------------------------------------------

  const openedId = () => {
    for (const alternative of Q.opened) {
      const element = alternative.first(document);
      const value = element && alternative.value(element);
      if (value) return value;
    }
    return null;
  };
  // Where a pack declares nothing: frames of the common makers of CAPTCHAs, and the one field that browsers
  // know by name. The small badge that only says that somebody watches is no challenge.
  const CAPTCHA_HOSTS = /(^|\.)(hcaptcha\.com|recaptcha\.net|arkoselabs\.com|funcaptcha\.com|captcha-delivery\.com|geetest\.com|perimeterx\.net|awswaf\.com|challenges\.cloudflare\.com)$/;
  const LEAST_CAPTCHA = 100; // CSS pixels of the shorter side, or
  const LEAST_CHECKBOX = 250; // of the longer one
  const isCaptchaFrame = (frame) => {
    if (frame.closest(".grecaptcha-badge")) return false;
    const { width, height } = frame.getBoundingClientRect();
    if (Math.min(width, height) < LEAST_CAPTCHA && (Math.max(width, height) < LEAST_CHECKBOX || Math.min(width, height) < 40)) return false;
    try {
      const { hostname, pathname } = new URL(frame.src, location.href);
      return CAPTCHA_HOSTS.test(hostname) || (/(^|\.)google\.com$/.test(hostname) && pathname.startsWith("/recaptcha/"));
    } catch {
      return false;
    }
  };
  const seesCaptchaFrame = () => cssAll("iframe[src]", document).some((frame) => isShown(frame) && isCaptchaFrame(frame));
  const seesCodeField = () => cssAll("input[autocomplete~=one-time-code]", document).some(isShown);
  const glance = () => {
    shadows = null;
    const seen = {
      login: sees(Q.login), loading: sees(Q.loading), list: sees(Q.list), list_empty: sees(Q.listEmpty),
      thread: sees(Q.thread), thread_empty: sees(Q.threadEmpty), logged_in: sees(Q.loggedIn), bad_credentials: sees(Q.bad),
      challenge: sees(Q.challenge), locked: sees(Q.locked), password_change: sees(Q.passwordChange), opened: openedId(),
      more: sees(scrolls.history.more),
      status: performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0,
    };
    const isOutside = !seen.logged_in && !seen.list && !seen.thread;
    seen.captcha = Q.captcha ? sees(Q.captcha) : isOutside && seesCaptchaFrame();
    seen.one_time_code = Q.oneTimeCode ? sees(Q.oneTimeCode) : isOutside && seesCodeField();
    return seen;
  };
  const listRows = () => {
    const { found, index } = allOf(Q.row, document);
    return { rows: Q.skip ? found.filter((row) => !has(Q.skip, row)) : found, index };
  };
  const rowMatch = (query, index, count) => {
    const by_alternative = new Array(query.length).fill(0);
    if (index >= 0) by_alternative[index] = count;
    return { by_alternative, missing: 0 };
  };
  /** The text of a row without its unread badge: what reading a conversation leaves as it was. */
  const calmText = (row) => {
    const badge = firstOf(Q.unread, row);
    if (!badge || badge === row) return row.textContent.trim();
    const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    let text = "";
    while (texts.nextNode()) if (!badge.contains(texts.currentNode)) text += texts.currentNode.data;
    return text.trim();
  };
  const list = () => {
    shadows = null;
    const { rows, index } = listRows();
    return readList(rows, index);
  };
  const readList = (rows, index) => {
    const id = field(Q.id), title = field(Q.title), activity = field(Q.activity), unread = field(Q.unread);
    const read = rows.map((row) => ({
      id: id.read(row), title: title.read(row), last_activity: activity.read(row), unread: unread.read(row), digest: calmText(row),
    }));
    const matches = { "conversations.row": rowMatch(Q.row, index, rows.length), "conversations.id": id.report(), "conversations.title": title.report() };
    if (Q.activity) matches["conversations.last_activity"] = activity.report();
    return { rows: read, matches };
  };
  const messageRows = () => {
    const { found, index } = allOf(Q.message, document);
    return { rows: Q.notMessage ? found.filter((row) => !has(Q.notMessage, row)) : found, index };
  };
  /** Rows and separators in the order of the document. */
  const withSeparators = (rows) => {
    if (!Q.separator) return rows;
    const separators = new Set(allOf(Q.separator, document).found);
    if (!separators.size) return rows;
    const merged = [...separators, ...rows.filter((row) => !separators.has(row))];
    merged.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    return merged;
  };
  const isOwnSide = (row) => {
    const side = messages.direction.own_side;
    if (!side) return false;
    const text = firstOf(Q.text, row) ?? row;
    const box = text.getBoundingClientRect();
    const frame = (row.parentElement ?? row).getBoundingClientRect();
    const middle = box.left + box.width / 2;
    const right = middle > frame.left + frame.width / 2;
    return right === (side === "right");
  };
  const NONE = [];
  const valuesOf = (query, row) => {
    let values = NONE;
    for (const alternative of query) {
      // Most rows have none, and asking so is far cheaper than making an empty list.
      if (alternative.first(row) === null) continue;
      values = values.concat(alternative.all(row).map(alternative.value).filter((value) => value !== null));
    }
    return values;
  };
  const threadRows = () => {
    const { rows: plain, index } = messageRows();
    return { plain, index, rows: withSeparators(plain) };
  };
  const thread = () => {
    shadows = null;
    const { plain, index, rows } = threadRows();
    const reading = readRows(rows, Q.separator ? new Set(plain) : null, index);
    if (messages.order === "newest_first") reading.rows.reverse();
    return reading;
  };
  /** Reads rows in their order; `isMessage` tells them from separators, `null`: there are none. */
  const readRows = (rows, isMessage, index) => {
    const native = field(Q.native), author = field(Q.author), text = field(Q.text), sentAt = field(Q.sentAt), date = field(Q.date);
    const read = new Array(rows.length);
    let count = 0;
    for (let n = 0; n < rows.length; n++) {
      const row = rows[n];
      if (isMessage && !isMessage.has(row)) {
        read[n] = [null, null, null, null, false, NONE, date.read(row) ?? ""];
        continue;
      }
      count++;
      // As `ThreadRow`: id, author, text, time, own, files; what is missing at the end is left out.
      const out = [native.read(row), author.read(row), text.read(row), sentAt.read(row)];
      const files = Q.attachments ? valuesOf(Q.attachments, row) : NONE;
      const own = (Q.own && has(Q.own, row)) || isOwnSide(row);
      if (own || files.length) out.push(own);
      if (files.length) out.push(files);
      read[n] = out;
    }
    const matches = { "messages.row": rowMatch(Q.message, index, count), "messages.text": text.report() };
    if (Q.native) matches["messages.native_id"] = native.report();
    if (Q.author) matches["messages.author"] = author.report();
    if (Q.sentAt) matches["messages.sent_at.at"] = sentAt.report();
    return { opened: openedId(), rows: read, matches };
  };

  // ---- waiting -------------------------------------------------------------------------------------

  /** Resolves with true as soon as `test()` holds, with false after `ms`. Wakes on every change of the
   *  document; the slow tick is for what changes without one (shadow roots, styles). */
  const until = (test, ms) => new Promise((resolve) => {
    if (test()) return resolve(true);
    // Without a wait no timer is needed; in a saved page, whose scripts are off, none would ever ring.
    if (ms <= 0) return resolve(false);
    let queued = false;
    const finish = (value) => {
      observer.disconnect();
      clearInterval(tick);
      clearTimeout(end);
      resolve(value);
    };
    const check = () => { queued = false; if (test()) finish(true); };
    const soon = () => { if (!queued) { queued = true; setTimeout(check, 0); } };
    const observer = new MutationObserver(soon);
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    const tick = setInterval(check, 200);
    const end = setTimeout(() => finish(test()), ms);
  });
  // Many sites draw their CAPTCHA beside the login form for everybody: unless the pack says what it means, the
  // form must be gone before it is the answer to a login.
  const wantsHuman = (g) => g.challenge || g.locked || g.password_change || g.one_time_code || (g.captcha && (!!Q.captcha || !g.login));
  const conditions = {
    list: () => (g) => ((g.list || g.list_empty) && !g.loading && !g.login) || (g.login && !g.loading) || wantsHuman(g),
    outcome: () => (g) => (g.logged_in && !g.login) || g.bad_credentials || wantsHuman(g),
    // The form that was handed in may stand there for a while; a form on a new document is a refusal.
    answered: () => (g) => (g.logged_in && !g.login) || g.bad_credentials || g.locked || g.captcha || g.password_change || (g.one_time_code && !pressed),
    thread: (wanted) => (g) => (g.opened === wanted && (g.thread || g.thread_empty) && !g.loading && !sees(scrolls.history?.loading)) || g.login,
  };
  const wait = async ({ until: name, wanted, ms }) => {
    let last = null;
    const holds = conditions[name](wanted);
    await until(() => holds((last = glance())), ms);
    return last;
  };

  // ---- scrolling -----------------------------------------------------------------------------------

  const edgeKey = (element) => element ? `${Q.native ? firstValue(Q.native, element) : ""}|${element.textContent.length}|${element.textContent.slice(0, 64)}` : "";
  const firstValue = (query, row) => {
    for (const alternative of query) {
      const element = alternative.first(row);
      const value = element && alternative.value(element);
      if (value !== null && value !== undefined) return value;
    }
    return "";
  };
  /** The rows as far as their number and both ends go: while a long history is loaded this is asked at
   *  every change of the page, so no list is made of thousands that have not changed. */
  const edges = (which) => {
    const [query, skip] = which === "list" ? [Q.row, Q.skip] : [Q.message, Q.notMessage];
    if (!skip && shadowRoots().length === 0) {
      for (const { plain } of query) {
        if (plain === undefined) break;
        const rows = document.querySelectorAll(plain);
        if (rows.length) return rows;
      }
    }
    return which === "list" ? listRows().rows : messageRows().rows;
  };
  /** Tells whether the rows in the page are still the same ones. */
  const signature = (which) => {
    shadows = null;
    const rows = edges(which);
    return `${rows.length}|${edgeKey(rows[0])}|${edgeKey(rows[rows.length - 1])}`;
  };
  const frame = () => new Promise((resolve) => {
    const late = setTimeout(resolve, 100);
    requestAnimationFrame(() => { clearTimeout(late); resolve(); });
  });
  const boxOf = (plan) => {
    const box = firstOf(plan.container, document);
    return box === document.body || box === document.documentElement ? document.scrollingElement : box;
  };
  const isAtEnd = (plan) => (plan.end ? sees(plan.end) : false) || (plan.more ? !sees(plan.more) : false);
  /** How far a virtualised page may be scrolled at once: so far that the outermost row in it comes to stand at
   *  the near side of the view, where it is sure to be drawn again. */
  const reach = (box, up, rows) => {
    const ends = [rows[0], rows[rows.length - 1]].filter(Boolean).map((row) => row.getBoundingClientRect());
    const frame = box.getBoundingClientRect();
    const beyond = up ? frame.top - Math.min(...ends.map((end) => end.top)) : Math.max(...ends.map((end) => end.bottom)) - frame.bottom;
    return Math.max(0.6 * box.clientHeight, ends.length ? beyond : 0);
  };
  const SETTLE = 150; // ms for a virtualised page to draw what it has been scrolled to
  const NUDGE_EVERY = 400; // ms without any news while nothing seems to be loading
  const FAR = 1e9; // the browser clamps it to the edge, also in containers that count downward
  const step = async ({ which }) => {
    shadows = null;
    const plan = scrolls[which];
    const box = plan && boxOf(plan);
    if (!box) return { changed: false, end: false, more: false, present: false };
    const sign = plan.up ? -1 : 1;
    const before = signature(which);
    // The end can be told only from the far edge: a virtualised page may keep its marker in sight.
    const position = box.scrollTop;
    box.scrollTop = sign * FAR;
    const edge = box.scrollTop;
    const atEdge = () => Math.abs(box.scrollTop - edge) < 2;
    if (plan.virtualised) {
      box.scrollTop = position;
      const far = reach(box, plan.up, (which === "list" ? listRows() : messageRows()).rows);
      box.scrollTop = Math.abs(edge - position) > far ? position + sign * far : sign * FAR;
      // On the way to the edge the way is progress, whether other rows come into the page or not.
      if (!atEdge()) {
        await until(() => signature(which) !== before && !sees(plan.loading), SETTLE);
        return { changed: true, end: false, more: plan.more ? sees(plan.more) : false, present: true };
      }
    }
    if (plan.virtualised ? atEdge() && isAtEnd(plan) && signature(which) === before : isAtEnd(plan)) {
      return { changed: false, end: true, more: false, present: true };
    }
    const arrived = () => (signature(which) !== before && !sees(plan.loading)) || (!plan.virtualised && isAtEnd(plan));
    // Many sites load only on a scroll event, and pass one over that comes while they are busy: so go
    // away from the edge and come back, now and then, as a person would. So far away that what stands at the
    // edge leaves the view, and for two frames: pages watch it, and are told only after a frame was drawn.
    const nudge = async () => {
      const there = box.scrollTop;
      box.scrollTop = there - sign * Math.max(40, (plan.virtualised ? 0.1 : 1) * box.clientHeight);
      await frame();
      await frame();
      box.scrollTop = plan.virtualised && !atEdge() ? there : sign * FAR;
      // What a virtualised page drew on the way is no news: it may draw what was there before.
      if (plan.virtualised) await until(() => signature(which) === before, SETTLE);
    };
    if (plan.clickMore) firstOf(plan.more, document)?.click();
    else if (Math.abs(edge - position) < 2) await nudge();
    const deadline = performance.now() + plan.wait;
    let changed = await until(arrived, Math.min(NUDGE_EVERY, plan.wait));
    while (!changed && performance.now() < deadline) {
      if (!plan.clickMore && !sees(plan.loading)) await nudge();
      changed = await until(arrived, Math.min(NUDGE_EVERY, deadline - performance.now()));
    }
    shadows = null;
    const different = signature(which) !== before;
    const end = isAtEnd(plan) && (!plan.virtualised || (atEdge() && !different));
    return { changed: changed && different, end, more: plan.more ? sees(plan.more) : false, present: true };
  };
  const rewind = async ({ which }) => {
    const plan = scrolls[which];
    const box = plan && boxOf(plan);
    if (!box) return {};
    const before = signature(which);
    const position = box.scrollTop;
    box.scrollTop = (plan.up ? 1 : -1) * FAR;
    // Only a virtualised page shows other rows elsewhere; what it draws comes with the next frame.
    if (plan.virtualised && Math.abs(box.scrollTop - position) > 2) await until(() => signature(which) !== before, 500);
    return {};
  };

  // ---- acting --------------------------------------------------------------------------------------

  const WRITES = "textarea,[contenteditable]:not([contenteditable=false]),[role=textbox]";
  const press = (element) => { element.scrollIntoView({ block: "center" }); element.click(); };
  /** Whether anything was clicked on this document. */
  let pressed = false;
  const click = ({ query }) => {
    shadows = null;
    const element = firstOf(compile(query), document);
    if (!element) return { error: "missing" };
    if (element.matches(WRITES)) return { error: "writes" };
    pressed = true;
    press(element);
    return {};
  };
  const focus = ({ query }) => {
    shadows = null;
    const element = firstOf(compile(query), document);
    if (!element) return { error: "missing" };
    if (element.tagName !== "INPUT" || element.disabled || element.readOnly) return { error: "no input" };
    element.focus();
    element.select();
    return element.getRootNode().activeElement === element ? {} : { error: "no focus" };
  };
  const filled = ({ query, length }) => {
    const element = firstOf(compile(query), document);
    return element && [...element.value].length === length ? {} : { error: "not filled" };
  };
  const waitFor = async ({ query, ms }) => {
    const compiled = compile(query);
    return { found: await until(() => { shadows = null; return isShown(firstOf(compiled, document)); }, ms) };
  };
  const openConversation = ({ id, address }) => {
    shadows = null;
    if (Q.openClick) {
      const row = listRows().rows.find((candidate) => firstValue(Q.id, candidate) === id);
      const target = row && (firstOf(Q.openClick, row) ?? null);
      if (target) {
        // A row's own button may be a submit button; a writing control or a form's submit is none of ours.
        if (target.matches(WRITES) || (target.type === "submit" && target.form)) return { error: "writes" };
        press(target);
        return {};
      }
    }
    if (!address) return { error: "missing" };
    if (location.href !== address) location.assign(address);
    return {};
  };

  // ---- looking for the operator --------------------------------------------------------------------

  const probe = ({ queries }) => {
    shadows = null;
    const wholePage = new Set(["conversations.row", "conversations.opened.at", "messages.row", "messages.separator.row"]);
    const rowsFor = (key) => {
      if (wholePage.has(key) || key.startsWith("conversations.scroll")) return null;
      if (key === "messages.separator.date") return Q.separator ? allOf(Q.separator, document).found : [];
      if (key === "conversations.skip") return allOf(Q.row, document).found;
      if (key === "messages.skip") return allOf(Q.message, document).found;
      if (key.startsWith("conversations.")) return listRows().rows;
      return key.startsWith("messages.") ? messageRows().rows : null;
    };
    return queries.map(({ key, query }) => {
      const result = { key, counts: [], errors: {} };
      let rows = null;
      try {
        rows = rowsFor(key);
      } catch {
        // The query for the rows is what is wrong, and says so itself; within no row nothing matches.
        rows = [];
      }
      const scopes = rows ?? [document];
      query.any.forEach((alternative, index) => {
        let count = 0;
        try {
          const compiled = compileAlternative(alternative);
          for (const scope of scopes) {
            const found = (rows ? [compiled.first(scope)] : compiled.all(scope)).filter((element) => element && compiled.value(element) !== null);
            if (found.some((element) => element.matches?.(WRITES))) result.errors[index] = "matches a control that writes";
            if (found.length && result.sample === undefined) result.sample = compiled.value(found[0]);
            count += found.length;
          }
        } catch (error) {
          result.errors[index] = error instanceof DOMException || error instanceof SyntaxError ? "not a valid selector" : "can't be tried";
        }
        result.counts.push(count);
      });
      return result;
    });
  };

  // ---- what may be shown to strangers ---------------------------------------------------------------

  // Of attributes only names stay, and the values that give the page its shape, without their digits.
  const SHAPE = new Set(["class", "id", "role", "type", "autocomplete", "slot", "for", "hidden", "disabled", "dir"]);
  const SAFE_NAME = /^[a-z][a-z0-9:_-]{0,40}$/;
  const SAFE_TOKEN = /^[A-Za-z_-][\w-]{0,60}$/;
  const VOID = new Set(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]);
  const EMPTIED = new Set(["script", "style", "noscript", "template", "textarea", "title"]);
  const MOST_CHILDREN = 60, FIRST_CHILDREN = 40, MOST_ELEMENTS = 20000, MOST_DEPTH = 200;
  // What the pack names is no secret. Elsewhere a class or an id may hold a name, and names stand in short texts.
  const namedByPack = new Set(JSON.stringify(pack).match(/[A-Za-z_-][\w-]*/g));
  const shortWords = () => {
    const found = new Set();
    for (const root of [document, ...shadowRoots()]) {
      const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const words = texts.currentNode.data.toLowerCase().match(/\p{L}{3,}/gu) ?? [];
        if (words.length <= 4) for (const word of words) found.add(word);
      }
    }
    return found;
  };
  const shapeOf = (name, value, personal) => value.split(/\s+/)
    .filter((token) => SAFE_TOKEN.test(token) && !(name === "id" && /\d/.test(token)))
    .filter((token) => namedByPack.has(token) || (name !== "for" && !(token.toLowerCase().match(/[a-z]{3,}/g) ?? []).some((word) => personal.has(word))))
    .map((token) => token.replace(/\d/g, "0")).join(" ");
  const skeleton = () => {
    shadows = null;
    let left = MOST_ELEMENTS;
    const personal = shortWords();
    const parts = ["<!doctype html>\n"];
    const walk = (element, depth) => {
      if (left-- <= 0 || depth > MOST_DEPTH || !SAFE_NAME.test(element.localName)) return;
      const name = element.localName;
      parts.push("  ".repeat(Math.min(depth, 40)), "<", name);
      for (const { name: attribute, value } of element.attributes) {
        if (!SAFE_NAME.test(attribute) || attribute.startsWith("on")) continue;
        const kept = SHAPE.has(attribute) ? shapeOf(attribute, value, personal) : "";
        parts.push(" ", attribute, kept || value === "" ? `="${kept}"` : '="…"');
      }
      parts.push(">\n");
      if (VOID.has(name)) return;
      if (!EMPTIED.has(name)) inside(element, depth + 1);
      parts.push("  ".repeat(Math.min(depth, 40)), "</", name, ">\n");
    };
    const inside = (parent, depth) => {
      if (parent.shadowRoot) {
        parts.push("  ".repeat(Math.min(depth, 40)), '<template shadowrootmode="open">\n');
        inside(parent.shadowRoot, depth + 1);
        parts.push("  ".repeat(Math.min(depth, 40)), "</template>\n");
      }
      const children = [...parent.childNodes].filter((node) => node.nodeType === Node.ELEMENT_NODE || (node.nodeType === Node.TEXT_NODE && node.data.trim() !== ""));
      children.forEach((node, index) => {
        if (children.length > MOST_CHILDREN && index >= FIRST_CHILDREN && index < children.length - (MOST_CHILDREN - FIRST_CHILDREN)) {
          if (index === FIRST_CHILDREN) parts.push("  ".repeat(Math.min(depth, 40)), `<!-- ${children.length - MOST_CHILDREN} more -->\n`);
        } else if (node.nodeType === Node.TEXT_NODE) parts.push("  ".repeat(Math.min(depth, 40)), "…\n");
        else walk(node, depth);
      });
    };
    walk(document.documentElement, 0);
    return parts.join("");
  };

  // A constructed sheet is no inline style, so that no content security policy keeps it out.
  const COVER = `
    *, *::before, *::after { transition: none !important; animation: none !important; }
    *, *::before, *::after, *::marker, *::placeholder, *::first-letter, *::first-line { -webkit-text-security: disc !important; text-shadow: none !important;
      background-image: none !important; border-image: none !important; list-style: none !important; mask-image: none !important; -webkit-mask-image: none !important; }
    *::before, *::after { visibility: hidden !important; }
    img, picture, video, audio, canvas, svg, math, iframe, frame, object, embed, input, textarea, select, meter, progress { visibility: hidden !important; }
    svg *, math *, object *, select * { visibility: hidden !important; }
    *:not(:defined) { visibility: hidden !important; }`;
  const DRAWN = "img,picture,video,audio,canvas,svg,iframe,frame,object,embed,input,textarea,select,meter,progress";
  let cover = null;
  /** Makes every text on the page unreadable and every picture invisible, or takes that back. Tells how many
   *  texts can be read all the same. */
  const setCover = ({ on }) => {
    shadows = null;
    const scopes = [document, ...shadowRoots()];
    if (cover) for (const scope of scopes) scope.adoptedStyleSheets = [...scope.adoptedStyleSheets].filter((sheet) => sheet !== cover);
    cover = null;
    if (!on) return { bare: 0 };
    cover = new CSSStyleSheet();
    cover.replaceSync(COVER);
    for (const scope of scopes) scope.adoptedStyleSheets = [...scope.adoptedStyleSheets, cover];
    const isBare = (element) => {
      const style = getComputedStyle(element);
      // What draws by itself, in a root that can't be entered, may hold pictures.
      const isClosed = element.localName.includes("-") && !element.shadowRoot && element.childNodes.length === 0 && isShown(element);
      const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
      return style.visibility !== "hidden" && ((element.matches(DRAWN) && isShown(element)) || isClosed || (hasText && isShown(element) && style.webkitTextSecurity !== "disc"));
    };
    return { bare: cssAll("*", document).filter(isBare).length };
  };

  const { observe, unobserve } = observing({
    Q, newestFirst: messages.order === "newest_first", isBelow, shadowRoots, openedId, glance, listRows, readList, threadRows, readRows,
    refresh: () => { shadows = null; },
  });
  const calls = {
    glance, wait, waitFor, list, thread, step, rewind, click, focus, filled, openConversation, probe, skeleton, setCover, observe, unobserve,
  };
  globalThis.chatferry = async (name, argument) => {
    try {
      return JSON.stringify({ ok: await calls[name](argument) });
    } catch (error) {
      // A selector's own error quotes the selector; any other message could quote the page.
      return JSON.stringify({ thrown: error instanceof SyntaxError || error instanceof DOMException ? error.message : error.name });
    }
  };
}
