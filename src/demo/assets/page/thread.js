// The open conversation: its newest messages first, older ones when the reader reaches the top, live ones as they come.

import { avatar, clock, dayKey, dayName, el, linked } from "./dom.js";
import { Scroller } from "./scroller.js";
import { read, send } from "./server.js";

const RUN = 5 * 60 * 1000; // messages of one person within this time stand close together
const PATIENCE = 120; // two scroll events nearer than this, in ms, are one attempt

export class Thread {
  constructor(names, page, fail, seen) {
    Object.assign(this, { names, page, fail, seen, id: null, turn: 0 });
    this.scroller = new Scroller(names.messages, {
      virtualised: page.virtualised, newestFirst: page.newest_first_dom, moved: () => this.moved(),
    });
    this.scroller.box.addEventListener("wheel", (event) => { if (event.deltaY < 0) this.moved(); }, { passive: true });
    this.title = el(`h1.${names.threadTitle}.ui-thread-title`, { dir: "auto" });
    this.people = el("span.ui-thread-people", { dir: "auto" });
    this.head = el("header.ui-thread-head", {}, el("span.ui-thread-avatar"), el("div", {}, this.title, this.people));
    this.field = el("textarea", { name: "text", rows: "1", placeholder: "Write a message", "aria-label": "Message" });
    this.form = el("form.ui-compose", { id: "compose" }, this.field, el("button", { type: "submit", "aria-label": "Send" }, "Send"));
    this.form.addEventListener("submit", (event) => this.compose(event));
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.compose(event);
    });
    this.wait = el("div.ui-thread-wait", { role: "status" }, el("span.ui-spin"));
    this.empty = el(`div.${names.threadEmpty}.ui-thread-note`, {}, el("strong", {}, "No messages yet"), el("span", {}, "Say hello to begin the conversation."));
    this.root = el("section.ui-thread", { id: names.thread, "aria-label": "Messages" });
  }

  /** Opens a conversation; what was open before disappears at once. */
  async open(id) {
    const turn = ++this.turn;
    this.close();
    this.id = id;
    this.early = [];
    this.root.replaceChildren(this.wait);
    try {
      const page = await read(this.address(`?limit=${this.page.page_size}`));
      if (turn !== this.turn) return;
      this.messages = [];
      this.more = page.more;
      this.merge(page.messages);
      this.merge(this.early);
      this.early = null;
      this.face(page.conversation);
      this.show();
      this.scroller.toBottom();
      this.root.setAttribute(this.names.threadId, id);
      this.fillUp();
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  /** Shows nothing. */
  close(...instead) {
    this.id = null;
    this.messages = [];
    this.early = null;
    this.more = this.loading = this.broken = false;
    this.attempts = this.lastAttempt = 0;
    this.away = true;
    this.root.removeAttribute(this.names.threadId);
    this.scroller.clear();
    this.root.replaceChildren(...instead);
  }

  address = (query = "") => `/api/conversations/${encodeURIComponent(this.id)}/messages${query}`;

  face(conversation) {
    this.group = conversation.peers.length > 1;
    this.root.classList.toggle("ui-group", this.group);
    this.title.textContent = conversation.title;
    this.people.textContent = this.group ? conversation.peers.join(", ") : "Direct messages";
    this.key = this.group ? null : conversation.id;
    this.head.firstChild.replaceWith(avatar(conversation.title, { key: conversation.id }));
    this.root.replaceChildren(this.head, this.scroller.box, this.form);
  }

  /** Takes messages in; the place in the conversation decides, so that none is there twice. */
  merge(messages) {
    const known = new Map(this.messages.map((message) => [message.seq, message]));
    for (const message of messages) known.set(message.seq, message);
    this.messages = [...known.values()].sort((a, b) => a.seq - b.seq);
  }

  /** A live message, or a changed one. */
  hear(conversation, message, edit) {
    if (conversation.id !== this.id) return;
    if (this.early) return void this.early.push(message);
    // An edit of a message that was never loaded must not appear out of its place.
    if (edit && !this.messages.some((own) => own.id === message.id)) return;
    this.merge([message]);
    this.seen(this.id);
    if (edit) {
      const node = this.scroller.node(message.id);
      if (node) this.fill(node, message);
      this.scroller.changed(message.id);
    } else {
      this.show();
    }
  }

  /** After the live socket was away: reads the newest page again. */
  async refresh() {
    if (!this.id || this.early) return;
    const turn = this.turn;
    const page = await read(this.address(`?limit=${this.page.page_size}`));
    if (turn !== this.turn) return;
    const last = this.messages.at(-1)?.seq ?? -1;
    if (page.messages.length && page.messages[0].seq > last + 1) return this.open(this.id);
    this.merge(page.messages);
    for (const message of page.messages) {
      const node = this.scroller.node(message.id);
      if (node) this.fill(node, message);
    }
    this.show();
  }

  /** The reader has scrolled. */
  moved() {
    if (!this.id || this.early || !this.more || this.loading) return;
    const nudges = this.page.history_nudges;
    const { fromTop } = this.scroller;
    const near = fromTop < (nudges > 1 ? 2 : 80);
    const now = performance.now();
    const attempt = near && (nudges <= 1 || this.away || now - this.lastAttempt > PATIENCE);
    this.away = !near;
    if (!attempt) return;
    this.lastAttempt = now;
    this.attempts += 1;
    if (this.attempts >= nudges) this.older();
  }

  /** Loads on while there is nothing to scroll. */
  async fillUp() {
    const turn = this.turn;
    while (turn === this.turn && this.more && !this.loading && !this.broken && this.scroller.fits) await this.older();
  }

  async older() {
    const turn = this.turn;
    this.loading = true;
    this.broken = false;
    this.attempts = 0;
    this.show();
    try {
      const page = await read(this.address(`?before=${this.messages[0].id}&limit=${this.page.page_size}`));
      if (turn !== this.turn) return;
      this.merge(page.messages);
      this.more = page.more;
    } catch (error) {
      if (turn !== this.turn) return;
      this.broken = true;
      this.fail(error);
    }
    this.loading = false;
    this.away = true;
    this.show();
    this.fillUp();
  }

  show() {
    const items = [this.top()];
    let day = null;
    let before = null;
    for (const message of this.messages) {
      const own = dayKey(message.sent_ms);
      if (own !== day) {
        const name = dayName(message.sent_ms);
        items.push({ key: `day ${own}`, make: () => el(`div.${this.names.day}.ui-day`, {}, el("span", {}, name)) });
      }
      const notice = message.notice;
      if (notice) items.push({ key: `notice ${message.id}`, make: () => this.notice(notice, message) });
      const first = own !== day || notice || before.author !== message.author || message.sent_ms - before.sent_ms > RUN;
      const node = this.scroller.node(message.id);
      node?.classList.toggle("ui-first", Boolean(first));
      items.push({ key: message.id, anchor: true, make: () => this.make(message.id, first) });
      day = own;
      before = message;
    }
    this.index = new Map(this.messages.map((message) => [message.id, message]));
    this.scroller.show(items);
  }

  /** What stands above the oldest message: always of the same height, so that nothing jumps. */
  top() {
    const row = (key, kind, ...content) => ({ key, make: () => el(`div${kind}.ui-history`, {}, ...content.map((part) => part())) });
    if (this.loading) return row("top loading", `.${this.names.historySpinner}`, () => el("span.ui-spin"), () => "Loading older messages");
    if (this.broken) return row("top broken", `.${this.names.historyError}`, () => "Older messages could not be loaded.", () => this.retry());
    if (this.more) return row("top more", "");
    if (this.messages.length === 0) return { key: "top empty", make: () => this.empty };
    return row("top start", `.${this.names.historyStart}`, () => "This is the beginning of the conversation");
  }

  retry() {
    const button = el("button", { type: "button" }, "Try again");
    button.addEventListener("click", () => this.older());
    return button;
  }

  notice(text, message) {
    return el(`div.${this.names.notice}.ui-notice`, {}, el("span", {}, `${text} · ${clock(message.sent_ms)}`));
  }

  make(id, first) {
    const { names } = this;
    const message = this.index.get(id);
    const node = el(`div.${names.message}.ui-message`, this.page.native_ids ? { [names.messageId]: id } : {});
    node.classList.toggle("ui-first", Boolean(first));
    if (message.mine) node.classList.add(names.mine, "ui-mine");
    this.fill(node, message);
    return node;
  }

  fill(node, message) {
    const { names } = this;
    const time = el(`time.${names.time}`, {}, clock(message.sent_ms));
    names.stamp(time, message.sent_at, message.sent_ms);
    const file = message.attachment;
    node.replaceChildren(
      ...(message.mine ? [] : [avatar(message.author, { size: "small", key: this.key ?? message.author })]),
      el("div.ui-bubble", {},
        el(`span.${names.author}.ui-author`, { dir: "auto" }, message.author),
        el(`div.${names.text}.ui-text`, { dir: "auto" }, ...linked(message.text)),
        file && el(`a.${names.attachment}.ui-file`, { href: file.href, download: file.name }, file.name),
        el("span.ui-meta", {}, message.edited ? el(`span.${names.edited}`, {}, "edited") : null, time)),
    );
  }

  async compose(event) {
    event.preventDefault();
    const text = this.field.value;
    if (!text.trim() || !this.id) return;
    this.field.value = "";
    try {
      await send(this.address(), { text });
    } catch (error) {
      this.field.value = text;
      this.fail(error);
    }
  }
}
