// Keeps the status page fresh: asks /api/v1/status every two seconds and puts each value where the page
// says it belongs. Values become text, attributes of fixed names and list items, never markup.
//
//   data-text="path"       the value as text          data-count="path"  a number, digits grouped
//   data-time="path"       a time, told relatively    data-tone-from="path"  the value becomes data-tone
//   data-show="path"       hidden unless there is something; data-hide: the reverse
//   data-each="path"       one copy of its <template> per item; paths within are the item's own
//
// An answer that does not come is shown at once: silence must not look healthy.
"use strict";
(() => {
  const EVERY_MS = 2000;
  const PATIENCE_MS = 6000;
  const root = document.documentElement;
  let heardAt = new Date();
  let aheadMs = 0; // the server's clock minus ours
  let timer;

  const lookup = (data, path) => path === "." ? data : path.split(".").reduce((value, key) => value?.[key], data);
  const isThere = (value) => Array.isArray(value) ? value.length > 0 : value !== null && value !== undefined && value !== "";

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // The same table as in when.rs.
  function relative(at) {
    const seconds = Math.floor((Date.now() + aheadMs) / 1000) - Math.floor(at / 1000);
    const length = Math.abs(seconds);
    for (const [from, unit, word] of [[86400, 86400, "d"], [3600, 3600, "h"], [60, 60, "min"], [5, 1, "s"]]) {
      if (length >= from) {
        const amount = `${Math.floor(length / unit)} ${word}`;
        return seconds > 0 ? `${amount} ago` : `in ${amount}`;
      }
    }
    return "just now";
  }

  function setTime(element, value) {
    if (!value) {
      element.removeAttribute("datetime");
      element.removeAttribute("title");
      setText(element, element.dataset.none ?? "–");
      return;
    }
    element.dateTime = value;
    element.title = `${value.slice(0, 10)} ${value.slice(11, 16)} UTC`;
    setText(element, relative(Date.parse(value)));
  }

  function fill(element, data) {
    const { text, count, time, toneFrom, show, hide, each } = element.dataset;
    if (text !== undefined) setText(element, String(lookup(data, text) ?? ""));
    if (count !== undefined) setText(element, Number(lookup(data, count)).toLocaleString("en"));
    if (time !== undefined) setTime(element, lookup(data, time));
    if (toneFrom !== undefined) element.dataset.tone = lookup(data, toneFrom) ?? "idle";
    if (show !== undefined) element.hidden = !isThere(lookup(data, show));
    if (hide !== undefined) element.hidden = isThere(lookup(data, hide));
    if (each !== undefined) {
      fillList(element, lookup(data, each) ?? []);
      return;
    }
    for (const child of element.children) fill(child, data);
  }

  function fillList(list, rows) {
    const template = list.querySelector(":scope > template");
    const items = [...list.children].filter((child) => child !== template);
    rows.forEach((row, index) => {
      let item = items[index];
      if (!item) {
        item = document.importNode(template.content.firstElementChild, true);
        list.append(item);
      }
      fill(item, row);
    });
    for (const item of items.slice(rows.length)) item.remove();
  }

  function told(status) {
    heardAt = new Date();
    aheadMs = Date.parse(status.now) - heardAt.getTime();
    if (status.revision !== root.dataset.revision) {
      location.reload();
      return;
    }
    delete root.dataset.contact;
    fill(root, status);
  }

  function silent() {
    root.dataset.contact = "lost";
    const since = heardAt.toLocaleTimeString([], { hour12: false });
    fill(document.querySelector(".verdict"), {
      tone: "lost",
      headline: `The daemon has not answered since ${since}.`,
      subline: "What stands below is what it said last. See whether chatferry still runs, and its log.",
      code: null,
      also: [],
      parts: [],
    });
    document.title = "No answer · chatferry";
  }

  async function ask() {
    clearTimeout(timer);
    try {
      const answer = await fetch("/api/v1/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!answer.ok) throw new Error(String(answer.status));
      told(await answer.json());
    } catch {
      silent();
    }
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, EVERY_MS);
  }

  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll("time[datetime]")) setText(time, relative(Date.parse(time.dateTime)));
  }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) ask(); });
  ask();
})();
