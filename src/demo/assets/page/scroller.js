// A scrolling column of items of unknown height, oldest at the top: all of them in the page, or (virtualised) only a
// window of them between two spacers. What the reader looks at stays where it is when items come or go.

import { arrange, el } from "./dom.js";

const WINDOW = 60; // items in the page when virtualised, more only if the viewport is very tall
const SHORTEST = 36; // height of the lowest item, in pixels
const ABOVE = 22; // of these, above the one at the upper edge
const GUESS = 56; // height of an item that was never in the page, in pixels

/** An item is { key, make() → element, anchor: whether the view may hold on to it }. */
export class Scroller {
  constructor(id, { virtualised, newestFirst, moved }) {
    this.box = el("div.ui-messages", { id, tabindex: "0" });
    this.box.classList.toggle("ui-newest-first", newestFirst);
    this.virtualised = virtualised;
    this.newestFirst = newestFirst;
    this.upper = el("div.ui-spacer");
    this.lower = el("div.ui-spacer");
    this.clear();
    this.box.addEventListener("scroll", () => {
      if (virtualised) this.follow();
      moved();
    });
  }

  /** Forgets everything. */
  clear() {
    this.items = [];
    this.nodes = new Map();
    this.heights = new Map();
    this.from = this.to = 0;
    this.tops = [0];
    this.box.replaceChildren();
  }

  // In a reversed column scrollTop is 0 at the bottom and negative above.
  get fromTop() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    return this.newestFirst ? scrollHeight - clientHeight + scrollTop : scrollTop;
  }

  set fromTop(value) {
    const { scrollHeight, clientHeight } = this.box;
    this.box.scrollTop = this.newestFirst ? Math.min(0, value - (scrollHeight - clientHeight)) : value;
  }

  get fromBottom() {
    return this.box.scrollHeight - this.box.clientHeight - this.fromTop;
  }

  get fits() {
    return this.box.scrollHeight <= this.box.clientHeight + 1;
  }

  toBottom() {
    if (this.virtualised) this.place(this.items.length - 1);
    this.fromTop = this.box.scrollHeight;
  }

  /** The element of an item that is in the page. */
  node(key) {
    return this.nodes.get(key);
  }

  /** An item looks different now. */
  changed(key) {
    const anchor = this.anchor();
    this.heights.delete(key);
    if (this.virtualised) this.measure();
    this.hold(anchor);
  }

  /** Shows these items; a reader at the bottom stays there. */
  show(items) {
    const stuck = this.fromBottom < 40;
    const anchor = stuck ? null : this.anchor();
    this.items = items;
    const keys = new Set(items.map((item) => item.key));
    for (const key of this.nodes.keys()) if (!keys.has(key)) this.nodes.delete(key);
    if (!this.virtualised) this.place(0);
    if (stuck) this.toBottom();
    else this.hold(anchor);
  }

  /** What the reader looks at: the first item in sight, and how far it is from the upper edge. */
  anchor() {
    const edge = this.box.getBoundingClientRect().top;
    for (let i = this.from; i < this.to; i++) {
      const node = this.nodes.get(this.items[i].key);
      if (!this.items[i].anchor || !node) continue;
      const { top, bottom } = node.getBoundingClientRect();
      if (bottom > edge) return { key: this.items[i].key, offset: top - edge };
    }
    return null;
  }

  /** Scrolls so that the anchor is where it was. */
  hold(anchor) {
    const index = anchor ? this.items.findIndex((item) => item.key === anchor.key) : -1;
    if (index < 0) {
      if (this.virtualised) this.follow(true);
      return;
    }
    if (this.virtualised) {
      this.place(index);
      this.scrollTo(this.tops[index] - anchor.offset);
      return;
    }
    const moved = this.nodes.get(anchor.key).getBoundingClientRect().top - this.box.getBoundingClientRect().top - anchor.offset;
    if (Math.abs(moved) >= 0.5) this.fromTop += moved;
  }

  scrollTo(value) {
    if (Math.abs(this.fromTop - value) >= 0.5) this.fromTop = value;
  }

  /** Virtualised: brings the window to where the reader has scrolled. */
  follow(always = false) {
    if (this.items.length === 0) return this.place(0);
    const at = this.fromTop;
    const bottom = this.fromBottom < 2;
    let low = 0;
    let high = this.items.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] > at) high = middle;
      else low = middle + 1;
    }
    const roomAbove = this.from === 0 || low - this.from >= 8;
    const below = Math.ceil(this.box.clientHeight / SHORTEST);
    const roomBelow = this.to === this.items.length || this.to - low >= below + 4;
    if (!always && roomAbove && roomBelow && low >= this.from && low < this.to) return;
    const offset = at - this.tops[low];
    this.place(low);
    if (bottom) this.fromTop = this.box.scrollHeight;
    else this.scrollTo(this.tops[low] + offset);
  }

  /** Puts the items into the page: all, or the window around this one. */
  place(index) {
    const count = this.items.length;
    const size = Math.max(WINDOW, Math.ceil((2.5 * this.box.clientHeight) / SHORTEST));
    this.from = this.virtualised ? Math.max(0, Math.min(index - ABOVE, count - size)) : 0;
    this.to = this.virtualised ? Math.min(count, this.from + size) : count;
    const nodes = [];
    const kept = new Map();
    for (let i = this.from; i < this.to; i++) {
      const { key, make } = this.items[i];
      const node = this.nodes.get(key) ?? make();
      kept.set(key, node);
      nodes.push(node);
    }
    this.nodes = kept;
    const column = this.virtualised ? [this.upper, ...nodes, this.lower] : nodes;
    arrange(this.box, this.newestFirst ? column.reverse() : column);
    if (this.virtualised) this.measure();
  }

  measure() {
    let sum = 0;
    for (let i = this.from; i < this.to; i++) {
      const { key } = this.items[i];
      this.heights.set(key, this.nodes.get(key).getBoundingClientRect().height);
    }
    for (const height of this.heights.values()) sum += height;
    const guess = this.heights.size > 20 ? Math.min(sum / this.heights.size, 2 * GUESS) : GUESS;
    this.tops = new Array(this.items.length + 1).fill(0);
    this.items.forEach((item, i) => { this.tops[i + 1] = this.tops[i] + (this.heights.get(item.key) ?? guess); });
    this.upper.style.height = `${this.tops[this.from]}px`;
    this.lower.style.height = `${this.tops.at(-1) - this.tops[this.to]}px`;
  }
}
