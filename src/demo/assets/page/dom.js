// Making elements, and the words for times.

/** An element: el("a.big.ui-row", { href: "#" }, child, "text"). Text is always text, never HTML. */
export function el(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Brings the children of a box into this order; a node that stays where it is is not touched. */
export function arrange(box, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...box.childNodes]) if (!wanted.has(child)) child.remove();
  let next = box.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else box.insertBefore(node, next);
  }
}

/** A round picture with initials; the colour follows from the name, or from what tells namesakes apart. */
export function avatar(name, { size = "", key = name } = {}) {
  const initials = name.split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("");
  let hue = 0;
  for (const char of key) hue = (hue * 31 + char.codePointAt(0)) % 10;
  return el(`span.ui-avatar.ui-hue-${hue}${size && `.ui-${size}`}`, { "aria-hidden": "true" }, initials);
}

/** A text whose addresses are links; the text content stays exactly the text. */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"]+/g)) {
    const address = match[0].replace(/[.,;:!?'")]+$/, (tail) => (match[0].includes("(") ? tail.replace(/[^)]+$/, "") : ""));
    parts.push(text.slice(end, match.index));
    parts.push(el("a", { href: address, target: "_blank", rel: "noreferrer noopener" }, address));
    end = match.index + address.length;
  }
  parts.push(text.slice(end));
  return parts.filter((part) => part !== "");
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const KEY = new Intl.DateTimeFormat("sv-SE");

export const clock = (ms) => CLOCK.format(ms);
export const dayKey = (ms) => KEY.format(ms);

export function dayName(ms) {
  const today = Date.now();
  if (dayKey(ms) === dayKey(today)) return "Today";
  if (dayKey(ms) === dayKey(today - 86400000)) return "Yesterday";
  return DAY.format(ms);
}

/** As short as a list needs it: the time today, the day otherwise. */
export const shortTime = (ms) => (dayKey(ms) === dayKey(Date.now()) ? clock(ms) : SHORT_DAY.format(ms));
