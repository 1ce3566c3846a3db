// The list of conversations: a page at a time, in the order of the latest activity, also while messages arrive.

import { arrange, avatar, el, shortTime } from "./dom.js";
import { read } from "./server.js";

export class List {
  constructor(names, size, fail) {
    this.names = names;
    this.size = size;
    this.fail = fail;
    this.rows = new Map();
    this.next = null;
    this.more = true;
    this.open = null;
    this.box = el("nav.ui-list", { id: names.list, "aria-label": "Conversations" });
    this.news = el(
      `a.${names.row}.ui-row`,
      { "data-kind": "system", href: "#/news" },
      el("span.ui-avatar.ui-system", { "aria-hidden": "true" }, "✦"),
      el("span.ui-row-body", {}, el("span.ui-row-top", {}, el(`span.${names.rowTitle}.ui-row-title`, {}, "Site news")),
        el("span.ui-row-bottom", {}, el(`span.${names.rowPreview}.ui-row-preview`, {}, "What is new in Parley this month"))),
    );
    this.spinner = el(`div.${names.listSpinner}.ui-list-foot`, { role: "status" }, el("span.ui-spin"));
    this.end = el(`div.${names.listEnd}.ui-list-foot`, {}, "No more conversations");
    this.box.addEventListener("scroll", () => this.fill());
  }

  /** Loads on while the end of the list is in sight. */
  async fill() {
    const near = () => this.box.scrollHeight - this.box.clientHeight - this.box.scrollTop < 160;
    while (this.more && !this.loading && near()) {
      try {
        await this.load();
      } catch (error) {
        return this.fail(error);
      }
    }
  }

  async load() {
    this.loading = true;
    this.show();
    try {
      const after = this.next ? `&after=${encodeURIComponent(this.next)}` : "";
      const page = await read(`/api/conversations?limit=${this.size}${after}`);
      for (const conversation of page.conversations) this.keep(conversation);
      this.next = page.next;
      this.more = page.next !== null;
    } finally {
      this.loading = false;
      this.show();
    }
  }

  /** Reads the newest page again: after the live socket was away. */
  async refresh() {
    const page = await read(`/api/conversations?limit=${this.size}`);
    for (const conversation of page.conversations) this.keep(conversation);
    this.show();
  }

  /** A conversation has changed. */
  update(conversation) {
    this.keep(conversation);
    this.show();
  }

  keep(conversation) {
    const unread = conversation.id === this.open ? 0 : conversation.unread;
    const row = this.rows.get(conversation.id) ?? this.make(conversation);
    Object.assign(row, { data: { ...conversation, unread } });
    this.rows.set(conversation.id, row);
    this.fillRow(row);
  }

  /** Marks the conversation that is open. */
  select(id) {
    this.open = id;
    this.news.classList.toggle("ui-open", id === "news");
    for (const [own, row] of this.rows) {
      row.node.classList.toggle("ui-open", own === id);
      if (own === id) row.data.unread = 0;
      if (own === id) this.fillRow(row);
    }
  }

  make(conversation) {
    const names = this.names;
    const parts = {
      time: el(`time.${names.rowTime}.ui-row-time`),
      preview: el(`span.${names.rowPreview}.ui-row-preview`, { dir: "auto" }),
      unread: el(`span.${names.rowUnread}.ui-row-unread`),
    };
    const bottom = el("span.ui-row-bottom", {}, parts.preview);
    const node = el(
      `a.${names.row}.ui-row`,
      { [names.rowId]: conversation.id, href: `#/c/${conversation.id}` },
      avatar(conversation.title, { key: conversation.id }),
      el("span.ui-row-body", {},
        el("span.ui-row-top", {}, el(`span.${names.rowTitle}.ui-row-title`, { dir: "auto" }, conversation.title), parts.time),
        bottom),
    );
    node.classList.toggle("ui-open", conversation.id === this.open);
    return { ...parts, bottom, node };
  }

  fillRow({ data, time, preview, unread, bottom }) {
    this.names.stamp(time, data.activity, data.activity_ms);
    const texts = [[time, shortTime(data.activity_ms)], [preview, data.preview ?? "No messages yet"], [unread, `${data.unread}`]];
    for (const [node, text] of texts) if (node.textContent !== text) node.textContent = text;
    if (data.unread > 0) bottom.append(unread);
    else unread.remove();
  }

  show() {
    const rows = [...this.rows.values()].sort(
      ({ data: a }, { data: b }) => b.activity_ms - a.activity_ms || b.turn - a.turn || (a.id < b.id ? 1 : -1));
    const foot = this.loading ? [this.spinner] : this.more ? [] : [this.end];
    arrange(this.box, [this.news, ...rows.map((row) => row.node), ...foot]);
  }
}
